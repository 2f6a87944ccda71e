//! Published vectors, and every way in which a signature can fail to fit.

use model::{Digest, Timestamp};

use super::standard::Headers;
use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap();
    text.as_bytes().as_chunks::<2>().0.iter().map(|[h, l]| digit(*h) << 4 | digit(*l)).collect()
}

/// RFC 4231, test cases 1 to 4, 6 and 7 (5 is about a cut signature, which nobody sends).
#[test]
fn signatures_are_those_of_rfc_4231() {
    let long = "aa".repeat(131);
    let cases: [(&str, &[u8], &str); 6] = [
        (
            &"0b".repeat(20),
            b"Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "4a656665",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &"aa".repeat(20),
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            "0102030405060708090a0b0c0d0e0f10111213141516171819",
            &[0xcd; 50],
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            &long,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            &long,
            b"This is a test using a larger than block-size key and a larger than block-size data. \
              The key needs to be hashed before being used by the HMAC algorithm.",
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, data, expected) in cases {
        let secret = Secret::bytes(&hex(key)).unwrap();
        assert_eq!(Digest(secret.sign(&[data])).to_string(), expected, "{key}");
        let (one, two) = data.split_at(data.len() / 2);
        assert!(secret.has_signed(&[one, two], &hex(expected)), "{key}");
        assert!(!secret.has_signed(&[data], &hex(expected)[..31]), "a cut one is no signature");
    }
}

#[test]
fn a_secret_is_never_shown_and_never_empty() {
    let secret = Secret::text("hunter2").unwrap();
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    for bad in ["", &"x".repeat(SECRET_BYTES)] {
        let why = Secret::text(bad).unwrap_err().to_string();
        assert!(why.starts_with("the secret for signatures cannot be used: it "), "{why}");
    }
    let short = format!("whsec_{}", "A".repeat(28));
    let long = format!("whsec_{}=", "A".repeat(87));
    for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", &short, &long] {
        let why = Secret::standard(bad).unwrap_err().to_string();
        assert!(why.contains("24 to 64 bytes") && !why.contains("AAAA"), "{bad}: {why}");
    }
}

const SECRET: &str = "It's a Secret to Everybody";
const PUBLISHED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[test]
fn github_signs_as_its_documentation_says() {
    let secret = Secret::text(SECRET).unwrap();
    assert_eq!(github::sign(&secret, b"Hello, World!"), PUBLISHED);
    assert_eq!(github::verify(&secret, Some(PUBLISHED), b"Hello, World!"), Ok(()));
}

#[test]
fn a_github_signature_that_does_not_fit_is_refused_with_the_reason() {
    let secret = Secret::text(SECRET).unwrap();
    let refused = |header: Option<&str>, body: &str| {
        let why = github::verify(&secret, header, body.as_bytes()).unwrap_err();
        (why.code(), why.to_string())
    };
    let upper = format!("sha256={}", PUBLISHED[7..].to_uppercase());
    for bad in ["", "sha256=", &PUBLISHED[7..], &PUBLISHED[..70], &format!("{PUBLISHED}0"), &upper]
    {
        let (code, why) = refused(Some(bad), "Hello, World!");
        assert_eq!(code, "signature.bad_header", "{bad}");
        assert!(why.contains("X-Hub-Signature-256") && why.contains("sha256="), "{why}");
    }
    let (code, why) = refused(None, "Hello, World!");
    assert_eq!(code, "signature.missing");
    assert_eq!(why, "the request has no header X-Hub-Signature-256: it must be signed");
    for body in ["", "Hello, World", "hello, World!"] {
        let (code, why) = refused(Some(PUBLISHED), body);
        assert_eq!(code, "signature.wrong");
        assert!(why.contains("is not that of this body"), "{why}");
    }
    let other = Secret::text("It's a secret to Everybody").unwrap();
    let why = github::verify(&other, Some(PUBLISHED), b"Hello, World!").unwrap_err();
    assert_eq!(why.code(), "signature.wrong");
}

/// The example of the specification's libraries.
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const SENT_S: i64 = 1_614_265_330;

fn published() -> Secret {
    Secret::standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000 + 999)
}

#[test]
fn standard_webhooks_are_signed_as_in_the_published_example() {
    let headers = standard::sign(&published(), ID, at(SENT_S), BODY).unwrap();
    let expected = [
        ("webhook-id", ID.to_owned()),
        ("webhook-timestamp", SENT_S.to_string()),
        ("webhook-signature", SIGNATURE.to_owned()),
    ];
    assert_eq!(headers, expected);
}

#[track_caller]
fn check(headers: Headers<'_>, body: &[u8], now_s: i64, expected: Result<(), &str>) {
    let result = standard::verify(&published(), &headers, body, at(now_s));
    assert_eq!(result.map_err(|why| why.code()), expected, "{headers:?}");
}

#[test]
fn a_standard_signature_fits_one_id_one_time_and_one_body() {
    let sent = SENT_S.to_string();
    let good = Headers { id: Some(ID), timestamp: Some(&sent), signature: Some(SIGNATURE) };
    check(good, BODY, SENT_S, Ok(()));
    check(good, b"{}", SENT_S, Err("signature.wrong"));
    check(Headers { id: Some("msg_other"), ..good }, BODY, SENT_S, Err("signature.wrong"));
    let later = (SENT_S + 1).to_string();
    check(Headers { timestamp: Some(&later), ..good }, BODY, SENT_S, Err("signature.wrong"));
    // What is signed reads the same, but it is cut in another place.
    let moved = [format!("{ID}.{sent}"), "1".into()];
    let cut = Headers { id: Some(&moved[0]), timestamp: Some(&moved[1]), ..good };
    check(cut, BODY, 1, Err("signature.bad_header"));
}

#[test]
fn a_standard_request_is_believed_for_five_minutes_either_way() {
    let sent = SENT_S.to_string();
    let good = Headers { id: Some(ID), timestamp: Some(&sent), signature: Some(SIGNATURE) };
    for off in [-300, 300] {
        check(good, BODY, SENT_S + off, Ok(()));
    }
    for off in [-301, 301, 1_000_000, -SENT_S] {
        check(good, BODY, SENT_S + off, Err("signature.stale"));
    }
    let why = standard::verify(&published(), &good, BODY, at(SENT_S + 301)).unwrap_err();
    assert_eq!(
        why.to_string(),
        "the request was signed 301 s ago by our clock, and may be 300 s off: send it anew, and \
         compare the clocks"
    );
    for bad in ["", "-1", "+1614265330", "1614265330.0", "now", "99999999999999999999"] {
        let headers = Headers { timestamp: Some(bad), ..good };
        check(headers, BODY, SENT_S, Err("signature.bad_header"));
    }
}

#[test]
fn one_of_several_standard_signatures_is_enough() {
    let sent = SENT_S.to_string();
    let headers =
        |signature| Headers { id: Some(ID), timestamp: Some(&*sent), signature: Some(signature) };
    let other = "v1,AAAA";
    let several = format!("v1a,AAAA {other} v1,? {SIGNATURE} v2,x");
    check(headers(&several), BODY, SENT_S, Ok(()));
    check(headers(other), BODY, SENT_S, Err("signature.wrong"));
    let flood = format!("{} {SIGNATURE}", [other; 8].join(" "));
    check(headers(&flood), BODY, SENT_S, Err("signature.wrong"));
    for bad in ["", " ", "v1,", "v1,?", "v2,AAAA", &SIGNATURE[3..]] {
        let code = if bad == "v1," { "signature.wrong" } else { "signature.bad_header" };
        check(headers(bad), BODY, SENT_S, Err(code));
    }
    let none = Headers::default();
    check(none, BODY, SENT_S, Err("signature.missing"));
    check(Headers { signature: None, ..headers("") }, BODY, SENT_S, Err("signature.missing"));
    for id in ["", "a.b", "a b", "é", "a\n", &"x".repeat(257)] {
        check(
            Headers { id: Some(id), ..headers(SIGNATURE) },
            BODY,
            SENT_S,
            Err("signature.bad_header"),
        );
        assert!(standard::sign(&published(), id, at(SENT_S), BODY).is_err(), "{id:?}");
    }
}
