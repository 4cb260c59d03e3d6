// Stands between a program and the C library. Counts the calls that change files below one folder, and at one of them ends
// the process, tears the write, or fails; or writes down all of them with their data. Built and preloaded by mod.rs.
//
//   CRASH_DIR    the folder, absolute and without links; nothing outside of it is touched
//   CRASH_LOG    where to write the calls down
//   CRASH_AT     the number of the call to strike at, from 1
//   CRASH_FAULT  kill: end before it · torn: do half of it (a write) or all of it, then end · full: from there on nothing
//                grows · otherwise an errno, with which this one call fails
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum kind { BIND, CREATE, WRITE, TRUNCATE, SYNC, SYNC_DIR, UNLINK, RENAME, LINK, MKDIR, RMDIR };

// As recording.rs reads it: then the two paths and the data.
struct head { uint32_t kind, path, other, data; uint64_t inode, at; };

static long calls;

static const char *dir(void) {
    static const char *found;
    if (!found) found = getenv("CRASH_DIR") ?: "";
    return found;
}

// Is it below the folder? The index of a write-ahead log lives in memory; its file means nothing to the disk.
static int ours(const char *path) {
    size_t length = strlen(dir()), total = strlen(path);
    if (!length || strncmp(path, dir(), length) || (path[length] && path[length] != '/')) return 0;
    return total < 4 || strcmp(path + total - 4, "-shm");
}

static int of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return ours(path);
}

static int of_path(int at, const char *path, char *out) {
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        char base[PATH_MAX];
        if (at == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else if (!of_fd(at, base)) {
            return 0;
        }
        while (path[0] == '.' && path[1] == '/') path += 2;
        snprintf(out, PATH_MAX, "%s/%s", base, path);
    }
    return ours(out);
}

static uint64_t inode(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

static void record(enum kind kind, const char *path, const char *other, uint64_t id, uint64_t at, const void *data, size_t size) {
    static int log = -2;
    if (log == -2) {
        const char *name = getenv("CRASH_LOG");
        log = name ? syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    }
    if (log < 0) return;
    int saved = errno;
    struct head head = { kind, strlen(path), other ? strlen(other) : 0, size, id, at };
    syscall(SYS_write, log, &head, sizeof head);
    syscall(SYS_write, log, path, head.path);
    if (other) syscall(SYS_write, log, other, head.other);
    if (size) syscall(SYS_write, log, data, size);
    errno = saved;
}

enum verdict { PASS, FAIL, TEAR };

static void die(void) { syscall(SYS_kill, getpid(), SIGKILL); pause(); }

// Counts a call and says what is to become of it. Something that grows needs room.
static enum verdict strike(int grows) {
    static long at = -1;
    static const char *fault;
    if (at < 0) {
        at = atol(getenv("CRASH_AT") ?: "0");
        fault = getenv("CRASH_FAULT") ?: "kill";
    }
    long call = __sync_add_and_fetch(&calls, 1);
    if (!at || call < at) return PASS;
    if (!strcmp(fault, "full")) {
        if (!grows) return PASS;
        errno = ENOSPC;
        return FAIL;
    }
    if (call != at) return PASS;
    if (!strcmp(fault, "kill")) die();
    if (!strcmp(fault, "torn")) return TEAR;
    errno = atoi(fault);
    return FAIL;
}

static ssize_t put(int fd, const void *data, size_t size, off_t at, int positioned) {
    char path[PATH_MAX];
    struct stat found;
    if (fd <= 2 || !of_fd(fd, path) || fstat(fd, &found)) {
        return positioned ? syscall(SYS_pwrite64, fd, data, size, at) : syscall(SYS_write, fd, data, size);
    }
    if (!positioned) at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    switch (strike(at + (off_t)size > found.st_size)) {
        case FAIL: return -1;
        case TEAR:
            // In the middle of a sector where there is more than one.
            syscall(SYS_pwrite64, fd, data, size > 1024 ? (size / 1024) * 512 + 100 : size / 2, at);
            die();
        case PASS: break;
    }
    ssize_t done = positioned ? syscall(SYS_pwrite64, fd, data, size, at) : syscall(SYS_write, fd, data, size);
    if (done > 0) record(WRITE, path, NULL, found.st_ino, at, data, done);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return put(fd, data, size, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at, 1); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return put(fd, data, size, at, 1); }

// Whoever wants to copy inside the kernel is told that this one cannot, and writes.
ssize_t copy_file_range(int in, off64_t *in_at, int out, off64_t *out_at, size_t size, unsigned flags) {
    (void)in, (void)in_at, (void)out, (void)out_at, (void)size, (void)flags;
    errno = ENOSYS;
    return -1;
}
ssize_t sendfile(int out, int in, off_t *at, size_t size) { (void)out, (void)in, (void)at, (void)size; errno = ENOSYS; return -1; }
ssize_t sendfile64(int out, int in, off64_t *at, size_t size) { (void)out, (void)in, (void)at, (void)size; errno = ENOSYS; return -1; }

// A call that is done or not done, never half: after a torn one the process ends.
#define WHOLE(is_ours, grows, call, kind, path, other, id, at)          \
    do {                                                                \
        enum verdict verdict = (is_ours) ? strike(grows) : PASS;        \
        if (verdict == FAIL) return -1;                                 \
        long result = (call);                                           \
        if (verdict == TEAR) die();                                     \
        if ((is_ours) && !result) record(kind, path, other, id, at, NULL, 0); \
        return result;                                                  \
    } while (0)

static int sync_fd(int fd, long number) {
    char path[PATH_MAX] = "";
    struct stat found = { 0 };
    int is_ours = of_fd(fd, path) && !fstat(fd, &found);
    WHOLE(is_ours, 0, syscall(number, fd), S_ISDIR(found.st_mode) ? SYNC_DIR : SYNC, path, NULL, found.st_ino, 0);
}
int fsync(int fd) { return sync_fd(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_fd(fd, SYS_fdatasync); }

static int cut(int fd, off_t size) {
    char path[PATH_MAX] = "";
    WHOLE(of_fd(fd, path), 0, syscall(SYS_ftruncate, fd, size), TRUNCATE, path, NULL, inode(fd), size);
}
int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

int unlinkat(int at, const char *path, int flags) {
    char whole[PATH_MAX] = "";
    WHOLE(of_path(at, path, whole), 0, syscall(SYS_unlinkat, at, path, flags), flags & AT_REMOVEDIR ? RMDIR : UNLINK, whole, NULL, 0, 0);
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
    char whole[PATH_MAX] = "", other[PATH_MAX] = "";
    int is_ours = of_path(from_at, from, whole) & of_path(to_at, to, other);
    WHOLE(is_ours, 0, syscall(SYS_renameat2, from_at, from, to_at, to, 0), RENAME, whole, other, 0, 0);
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char whole[PATH_MAX] = "", other[PATH_MAX] = "";
    int is_ours = of_path(from_at, from, whole) & of_path(to_at, to, other);
    WHOLE(is_ours, 1, syscall(SYS_linkat, from_at, from, to_at, to, flags), LINK, whole, other, 0, 0);
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int at, const char *path, mode_t mode) {
    char whole[PATH_MAX] = "";
    WHOLE(of_path(at, path, whole), 1, syscall(SYS_mkdirat, at, path, mode), MKDIR, whole, NULL, 0, 0);
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

static int open_any(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX] = "";
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (!of_path(at, path, whole) || !writes) return syscall(SYS_openat, at, path, flags, mode);
    struct stat found;
    int is_new = (flags & O_CREAT) && stat(whole, &found);
    int empties = !is_new && (flags & O_TRUNC);
    errno = 0;
    enum verdict verdict = is_new || empties ? strike(is_new) : PASS;
    if (verdict == FAIL) return -1;
    int fd = syscall(SYS_openat, at, path, flags, mode);
    if (verdict == TEAR) die();
    if (fd < 0) return fd;
    record(is_new ? CREATE : BIND, whole, NULL, inode(fd), 0, NULL, 0);
    if (empties) record(TRUNCATE, whole, NULL, inode(fd), 0, NULL, 0);
    return fd;
}

static mode_t mode_of(int flags, va_list more) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; }

#define OPEN(at)                        \
    va_list more;                             \
    va_start(more, flags);                    \
    mode_t mode = mode_of(flags, more);       \
    va_end(more);                             \
    return open_any(at, path, flags, mode)
int open(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
int openat(int at, const char *path, int flags, ...) { OPEN(at); }
int openat64(int at, const char *path, int flags, ...) { OPEN(at); }
