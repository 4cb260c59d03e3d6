//! The decoded views of the text that are searched, as a tree: each undoes one kind of escaping in the output of
//! its parent. It holds the nestings that occur, for instance JSON in JSON, or SQL quoted in a shell command that
//! is logged as JSON. The text itself is always searched as well.

use super::codec::Codec;

/// One view.
pub(super) struct View {
    pub(super) codec: Codec,
    /// Index of the parent, which stands before it; the first view reads the text itself.
    pub(super) parent: usize,
}

const ANSI: usize = 0;
const PERCENT: usize = 1;
const FORM: usize = 2;
const BACKSLASH: usize = 3;
const BACKSLASH_TWICE: usize = 4;
const ENTITY: usize = 5;
const SINGLE: usize = 6;
const DOUBLE: usize = 7;
const SHELL: usize = 8;
const BACKSLASH_ANSI: usize = 9;

/// Colours are stripped first: they are added last, by whatever prints.
pub(super) const VIEWS: &[View] = &[
    view(Codec::Ansi, ANSI),
    // Those with views of their own come first, so that the indices above are easy to check.
    view(Codec::Percent, ANSI),
    view(Codec::Form, ANSI),
    view(Codec::Backslash, ANSI),
    view(Codec::Backslash, BACKSLASH),
    view(Codec::Entity, ANSI),
    view(Codec::Doubled(b'\''), ANSI),
    view(Codec::Doubled(b'"'), ANSI),
    view(Codec::Shell, ANSI),
    view(Codec::Ansi, BACKSLASH),
    view(Codec::Doubled(b'$'), ANSI),
    view(Codec::Doubled(b'%'), ANSI),
    view(Codec::BackslashChar, ANSI),
    view(Codec::WhiteSpace, ANSI),
    view(Codec::Groups, ANSI),
    view(Codec::Percent, PERCENT),
    view(Codec::Backslash, PERCENT),
    view(Codec::Entity, PERCENT),
    view(Codec::WhiteSpace, PERCENT),
    view(Codec::Groups, PERCENT),
    view(Codec::Backslash, FORM),
    view(Codec::WhiteSpace, FORM),
    view(Codec::Percent, BACKSLASH),
    view(Codec::Entity, BACKSLASH),
    view(Codec::Doubled(b'\''), BACKSLASH),
    view(Codec::Doubled(b'"'), BACKSLASH),
    view(Codec::Shell, BACKSLASH),
    view(Codec::WhiteSpace, BACKSLASH),
    view(Codec::Groups, BACKSLASH),
    view(Codec::Backslash, BACKSLASH_TWICE),
    view(Codec::WhiteSpace, BACKSLASH_TWICE),
    view(Codec::Entity, ENTITY),
    view(Codec::Backslash, ENTITY),
    view(Codec::Percent, ENTITY),
    view(Codec::WhiteSpace, ENTITY),
    view(Codec::Backslash, SINGLE),
    view(Codec::WhiteSpace, SINGLE),
    view(Codec::Backslash, DOUBLE),
    view(Codec::WhiteSpace, DOUBLE),
    view(Codec::Backslash, SHELL),
    view(Codec::WhiteSpace, SHELL),
    view(Codec::Backslash, BACKSLASH_ANSI),
    view(Codec::Percent, BACKSLASH_ANSI),
    view(Codec::Entity, BACKSLASH_ANSI),
    view(Codec::WhiteSpace, BACKSLASH_ANSI),
];

const fn view(codec: Codec, parent: usize) -> View {
    View { codec, parent }
}
