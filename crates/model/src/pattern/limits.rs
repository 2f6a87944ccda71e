//! How large a pattern may be. A trigger table holds hundreds of patterns and every event meets
//! many of them, so what one pattern may cost is bounded when it is written, not when it is used.

/// The text of a pattern, in bytes. AWS takes 4,096 characters for an event source mapping and
/// 2,048 for a rule of EventBridge; four times that is room for long lists of names, and hundreds
/// of triggers still fit a megabyte or few.
pub const PATTERN_BYTES: usize = 16 * 1024;

/// Objects inside objects, `$or` members included. Deeper data is not read by people, and the
/// compiler and the matcher use the stack once a level.
pub const PATTERN_DEPTH: usize = 16;

/// Patterns that one pattern stands for when every `$or` is multiplied out. AWS's own limit: what
/// it refuses we refuse, and a pattern of ten `$or` in a row stops here.
pub const OR_COMBINATIONS: usize = 1_000;

/// Fields in all those patterns together, where they have to be multiplied out to be matched.
/// Each costs a look-up in the event: 4,096 of them are a fraction of a millisecond.
pub const MULTIPLIED_FIELDS: usize = 4_096;

/// Alternatives of one field, and values in one list of an operator. Exact strings are searched
/// by halves, but anything else one by one.
pub const ALTERNATIVES: usize = 1_000;

/// Stars in one `wildcard`. The time is linear in any case; each star starts a search of its own,
/// and nobody can read a string with more.
pub const WILDCARDS_PER_STRING: usize = 32;
