//! What HTTP headers and a message's properties hold: attributes in binary mode, and content types.

/// The attribute that a header stands for, as it is spelled there.
pub(super) fn attribute_name(header: &str) -> Option<&str> {
    let prefix = header.get(..3)?;
    if prefix.eq_ignore_ascii_case("ce-") { header.get(3..) } else { None }
}

/// The attribute that a message's application property stands for. The binding knows two prefixes:
/// the first came first, and brokers that take no colon have the second.
pub(super) fn amqp_attribute_name(property: &str) -> Option<&str> {
    ["cloudEvents:", "cloudEvents_"].iter().find_map(|prefix| property.strip_prefix(prefix))
}

/// A header's value as the HTTP binding says: unquoted if it is a quoted string, then one round
/// of percent-decoding, then UTF-8. A `%` that starts no escape stands for itself.
pub(super) fn decode(value: &[u8]) -> Result<String, &'static str> {
    let value = value.trim_ascii();
    let unquoted;
    let value = match value {
        [b'"', inner @ .., b'"'] => {
            unquoted = unescape(inner).ok_or("a quote within its quoted string is not escaped")?;
            unquoted.as_slice()
        }
        plain => plain,
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'%', [high, low, after @ ..]) if let Some(byte) = hex(*high, *low) => {
                bytes.push(byte);
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_not_utf8| "percent-decoded, it is not UTF-8")
}

/// What a quoted string holds, without its backslashes.
fn unescape(inner: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut inner = inner.iter();
    while let Some(byte) = inner.next() {
        match byte {
            b'"' => return None,
            b'\\' => bytes.push(*inner.next()?),
            byte => bytes.push(*byte),
        }
    }
    Some(bytes)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

/// The type and subtype, without parameters.
pub(super) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

pub(super) fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type).to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Whether UTF-8 of this content type is text. One that names another charset is, as long as the
/// bytes are those of ASCII: beyond it, that they happen to be UTF-8 means nothing.
pub(super) fn is_text(content_type: &str, ascii: bool) -> bool {
    let mut parts = content_type.split(';');
    let text = parts.next().unwrap_or_default().trim().get(..5);
    let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    text.is_some_and(|start| start.eq_ignore_ascii_case("text/"))
        && (ascii
            || charset.is_none_or(|charset| {
                ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name))
            }))
}
