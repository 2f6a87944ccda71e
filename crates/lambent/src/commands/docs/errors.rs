//! `docs/reference/errors.md`: every code of the API.

use std::fmt::Write as _;

use wire::http::problem::Code;

use super::{cell, head};

const INTRODUCTION: &str = "\
An error of the HTTP API is a JSON object (RFC 9457, `application/problem+json`). Programs should
test `code`, which never changes; `detail` is a sentence for people and may be reworded. `field`
names the field or the entry that is at fault. Where `Retry-After` is set, the same number stands in
`retry_after_s`.

```json
{
  \"type\": \"/docs/errors#not_found\",
  \"title\": \"Not Found\",
  \"status\": 404,
  \"code\": \"not_found\",
  \"detail\": \"there is no function \\\"hello\\\" in this project\"
}
```

`reason` is a finer code where one exists: `package.…` of a package that was refused, `event.…` of a
malformed event, the pattern language's own code of an invalid pattern, and for `function_failed`
the code of what the function did, as [runtime-python.md](runtime-python.md) lists them. The command
line prints code and reason in brackets at the end of its sentence, and maps the status to an exit
code: see [cli.md](cli.md).

| code | status | meaning |
|---|---|---|
";

pub(super) fn page() -> String {
    let mut page = head("Error codes", "`crates/wire/src/http/problem.rs`") + INTRODUCTION;
    for code in Code::ALL {
        let meaning = cell(code.meaning());
        writeln!(page, "| `{}` | {} | {meaning} |", code.as_str(), code.status())
            .expect("a String takes every write");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_row() {
        let page = page();
        for code in Code::ALL {
            assert!(page.contains(&format!("\n| `{}` | ", code.as_str())), "{code:?}");
        }
    }
}
