// Stands between a program and the C library: counts the calls that change files, and ends the process, or fails, at one
// of them. Built and preloaded by crash.rs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

// True when this call is the one to fail; does not return when it is the one to die at.
static int strike(void) {
    const char *at = getenv("CRASH_AT");
    const char *error = getenv("CRASH_ERRNO");
    calls++;
    if (!at || calls != atol(at)) return 0;
    if (!error) kill(getpid(), SIGKILL);
    errno = atoi(error ? error : "5");
    return 1;
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("CRASH_COUNT");
    if (!path) return;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "%ld", calls);
    fclose(file);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
// Standard output and error are not the state under test.
#define STRIKE_FD(fd, failure) do { if ((fd) > 2 && strike()) return (failure); } while (0)

ssize_t write(int fd, const void *data, size_t size) { STRIKE_FD(fd, -1); return NEXT(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { STRIKE_FD(fd, -1); return NEXT(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { STRIKE_FD(fd, -1); return NEXT(pwrite64)(fd, data, size, at); }
int fsync(int fd) { STRIKE_FD(fd, -1); return NEXT(fsync)(fd); }
int fdatasync(int fd) { STRIKE_FD(fd, -1); return NEXT(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { STRIKE_FD(fd, -1); return NEXT(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { STRIKE_FD(fd, -1); return NEXT(ftruncate64)(fd, size); }
int unlink(const char *path) { if (strike()) return -1; return NEXT(unlink)(path); }
int rename(const char *from, const char *to) { if (strike()) return -1; return NEXT(rename)(from, to); }
