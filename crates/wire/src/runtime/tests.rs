//! Round trips, and what a hostile sandbox may write (a function can write on its channel at will).

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

mod mutated;
mod naive;

fn whole(mut outgoing: Outgoing) -> Bytes {
    outgoing.copy_to_bytes(outgoing.remaining())
}

fn raw(kind: u8, version: u8, reserved: u16, meta: u32, payload: u32) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u8(kind);
    bytes.put_u8(version);
    bytes.put_u16_le(reserved);
    bytes.put_u32_le(meta);
    bytes.put_u32_le(payload);
    bytes
}

fn frame(kind: Kind, meta: &str, payload: &[u8]) -> Frame {
    Frame {
        kind,
        meta: Bytes::copy_from_slice(meta.as_bytes()),
        payload: Bytes::copy_from_slice(payload),
    }
}

/// All frames of a stream that arrives in pieces of the given sizes, and then in one.
fn decode_in_pieces(stream: &[u8], pieces: &[usize]) -> Result<Vec<Frame>, FrameError> {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    let mut rest = stream;
    for size in pieces.iter().copied().chain([usize::MAX]) {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.feed(&mut buffer)? {
            frames.push(frame);
        }
    }
    decoder.finish(&buffer)?;
    Ok(frames)
}

#[track_caller]
fn check_refused(bytes: &BytesMut, expected: &str) {
    let mut decoder = Decoder::default();
    let mut buffer = bytes.clone();
    let error = decoder.feed(&mut buffer).expect_err("these bytes are no frame");
    assert_eq!(error.to_string(), expected);
    // A good frame afterwards changes nothing: the channel is lost.
    let mut good = BytesMut::new();
    let ready = Encoder::default().encode(&Ready { init_us: 1 }, Bytes::new()).unwrap();
    good.extend_from_slice(&whole(ready));
    assert!(matches!(decoder.feed(&mut good), Err(FrameError::Failed)));
    assert!(matches!(decoder.finish(&BytesMut::new()), Err(FrameError::Failed)));
}

#[test]
fn headers_that_are_not_ours_end_the_conversation() {
    check_refused(&raw(0, 1, 0, 0, 0), "cannot read a frame: its kind is 0, which does not exist");
    check_refused(
        &raw(0xff, 1, 0, 0, 0),
        "cannot read a frame: its kind is 255, which does not exist",
    );
    check_refused(
        &raw(19, 2, 0, 0, 0),
        "cannot read a frame: its version is 2, and this worker speaks 1",
    );
    check_refused(
        &raw(19, 1, 0x100, 0, 0),
        "cannot read a frame: its reserved bytes are 0x0100, and must be zero",
    );
    check_refused(
        &raw(19, 1, 0, 262_145, 0),
        "cannot pass a frame: its metadata has 262145 bytes, and at most 262144 may be",
    );
    check_refused(
        &raw(19, 1, 0, 2, u32::MAX),
        "cannot pass a frame: its payload has 4294967295 bytes, and at most 6295552 may be",
    );
    check_refused(
        &BytesMut::from("HTTP/1.1 200 OK\r\n"),
        "cannot read a frame: its kind is 72, which does not exist",
    );
}

#[test]
fn announced_bytes_cost_nothing_until_they_come() {
    let mut decoder = Decoder::default();
    let mut buffer = raw(19, 1, 0, 262_144, 6_295_552);
    assert_eq!(decoder.feed(&mut buffer).unwrap(), None);
    assert!(buffer.capacity() <= 64 * 1024, "{} bytes reserved", buffer.capacity());
}

#[test]
fn room_at_most_doubles_with_what_came() {
    let mut decoder = Decoder::default();
    let mut buffer = raw(19, 1, 0, 0, 6_295_552);
    for _ in 0..6_295_552 / 4096 - 1 {
        assert_eq!(decoder.feed(&mut buffer).unwrap(), None);
        buffer.extend_from_slice(&[0; 4096]);
        let room = buffer.capacity();
        assert!(room <= 2 * buffer.len() + 64 * 1024, "{room} for {} bytes", buffer.len());
    }
    buffer.extend_from_slice(&[0; 4096]);
    let frame = decoder.feed(&mut buffer).unwrap().expect("all of it is there");
    assert_eq!(frame.payload.len(), 6_295_552);
}

#[test]
fn empty_parts_are_frames_as_well() {
    let mut buffer = raw(17, 1, 0, 0, 0);
    let frame = Decoder::default().feed(&mut buffer).unwrap().expect("a whole frame");
    assert_eq!((frame.meta.len(), frame.payload.len()), (0, 0));
    assert!(matches!(FromShim::try_from(frame), Err(FrameError::ReadMeta { .. })));
}

#[test]
fn end_within_a_frame_is_told_from_an_end_between_two() {
    let ready = whole(Encoder::default().encode(&Ready { init_us: 7 }, Bytes::new()).unwrap());
    for cut in 0..ready.len() {
        let ended = decode_in_pieces(&ready[..cut], &[]);
        match cut {
            0 => assert_eq!(ended.unwrap(), []),
            have => assert!(
                matches!(ended, Err(FrameError::Truncated { have: told }) if told == have),
                "cut after {cut} bytes"
            ),
        }
    }
}

#[test]
fn sandbox_may_not_send_the_workers_frames_nor_stray_payloads() {
    let parse = |frame: Frame| FromShim::try_from(frame).expect_err("must be refused").to_string();
    assert_eq!(
        parse(frame(Kind::Invoke, "{}", b"")),
        "a frame of kind Invoke is not for the worker"
    );
    assert_eq!(
        parse(frame(Kind::Ready, r#"{"init_us":1}"#, b"x")),
        "a frame of kind Ready has a payload of 1 bytes, and may have none"
    );
    let too_long = vec![b' '; MAX_ANSWER_BYTES + 1];
    assert_eq!(
        parse(frame(Kind::Response, r#"{"invocation":"i"}"#, &too_long)),
        "cannot take an answer: it has 6291457 bytes, and at most 6291456 may be"
    );
}

#[test]
fn metadata_that_lies_is_refused() {
    for meta in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"invocation":7}"#,
        r#"{"invocation":"a""#,
        r#"{"invocation":"a"}{"#,
        r#"{"invocation":"a","invocation":"b"}"#,
        "{\"invocation\":\"\u{0}\"}",
        r#"{"invocation":"\ud800"}"#,
    ] {
        let refused = FromShim::try_from(frame(Kind::Response, meta, b"1"));
        assert!(matches!(refused, Err(FrameError::ReadMeta { .. })), "{meta:?}: {refused:?}");
    }
    let nested = format!(r#"{{"invocation":"a","x":{}"#, "[".repeat(100_000));
    assert!(FromShim::try_from(frame(Kind::Response, &nested, b"1")).is_err());
}

#[test]
fn trace_of_a_hand_made_error_is_cut() {
    let lines = vec![r#""""#; 80_000].join(",");
    let meta = format!(
        r#"{{"invocation":"i","error_type":"E","error_message":"m","stack_trace":[{lines}]}}"#
    );
    let Ok(FromShim::Error(error)) = FromShim::try_from(frame(Kind::Error, &meta, b"")) else {
        panic!("an error of unusual size is still one");
    };
    assert_eq!(error.stack_trace.len(), 65);
}

#[test]
fn too_much_is_not_written() {
    let mut encoder = Encoder::default();
    let response = Response { invocation: "i".into(), effects: Vec::new() };
    let payload = Bytes::from(vec![b'1'; MAX_PAYLOAD_BYTES + 1]);
    let refused = encoder.encode(&response, payload);
    assert!(matches!(refused, Err(FrameError::PayloadTooLong(6_295_553))), "{refused:?}");
    let name = Response { invocation: "i".repeat(MAX_META_BYTES), effects: Vec::new() };
    assert!(matches!(encoder.encode(&name, Bytes::new()), Err(FrameError::MetaTooLong(_))));
    // And the encoder is as good as before.
    let good = whole(encoder.encode(&response, Bytes::from_static(b"1")).unwrap());
    assert_eq!(decode_in_pieces(&good, &[]).unwrap().len(), 1);
}

#[test]
fn small_frame_is_one_buffer_and_large_payload_is_not_copied() {
    let mut encoder = Encoder::default();
    let response = Response { invocation: "i".into(), effects: Vec::new() };
    let small = encoder.encode(&response, Bytes::from_static(b"1")).unwrap();
    assert!(!small.last_ref().has_remaining());
    let payload = Bytes::from(vec![b'1'; 1024 * 1024]);
    let large = encoder.encode(&response, payload.clone()).unwrap();
    assert_eq!(large.last_ref().as_ptr(), payload.as_ptr());
}

fn effect(kind: String, id: Option<String>) -> Effect {
    let data = id.as_ref().map(|_| RawValue::from_string(r#"{"n": 1.50}"#.to_owned()).unwrap());
    Effect { kind, source: None, id, subject: None, data }
}

#[test]
fn an_answer_brings_its_effects_byte_for_byte() {
    let meta =
        r#"{"invocation":"i","effects":[{"type":"t","id":"1","data":{"n": 1.50}},{"type":"u"}]}"#;
    let read: Response = serde_json::from_str(meta).unwrap();
    let effects = vec![effect("t".into(), Some("1".into())), effect("u".into(), None)];
    assert_eq!(read, Response { invocation: "i".into(), effects });
    assert_eq!(serde_json::to_string(&read).unwrap(), meta);
    let none: Response = serde_json::from_str(r#"{"invocation":"i"}"#).unwrap();
    assert_eq!(none.effects, []);
}

#[test]
fn invoke_says_what_the_protocol_says() {
    let client = RawValue::from_string(r#"{"custom": {"a": 1}}"#.to_owned()).unwrap();
    let invoke = Invoke {
        invocation: Cow::Borrowed("i-1"),
        attempt: 2,
        deadline_ms: 1_700_000_000_123,
        event_id: None,
        trigger: Some(Cow::Borrowed("on-\"file\"")),
        client_context: Some(&client),
        trace: None,
    };
    let bytes = whole(Encoder::default().encode(&invoke, Bytes::from_static(b"{}")).unwrap());
    let frames = decode_in_pieces(&bytes, &[]).unwrap();
    let [frame] = &frames[..] else { panic!("one frame, not {}", frames.len()) };
    assert_eq!(frame.kind, Kind::Invoke);
    assert_eq!(
        frame.meta,
        r#"{"invocation":"i-1","attempt":2,"deadline_ms":1700000000123,"trigger":"on-\"file\"","client_context":{"custom": {"a": 1}}}"#
    );
    let back: Invoke<'_> = serde_json::from_slice(&frame.meta).unwrap();
    assert_eq!(back.client_context.map(RawValue::get), Some(r#"{"custom": {"a": 1}}"#));
}

fn any_kind() -> impl Strategy<Value = u8> {
    prop::sample::select(vec![1u8, 2, 16, 17, 18, 19, 20])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn init_survives_the_way_there(
        words in prop::collection::vec(".{0,40}", 9),
        env in prop::collection::btree_map("[A-Z_]{1,12}", ".{0,60}", 0..8),
        memory_mib in any::<u32>(),
    ) {
        let word = |at: usize| Cow::Owned::<str>(words[at].clone());
        let env: BTreeMap<String, String> = env;
        let init = Init {
            function: word(0), version: word(1), project: word(2), handler: word(3),
            memory_mib, env: Cow::Borrowed(&env), task_root: word(4), log_group: word(5),
            log_stream: word(6), function_arn: word(7),
        };
        let bytes = whole(Encoder::default().encode(&init, Bytes::new()).unwrap());
        let frames = decode_in_pieces(&bytes, &[]).unwrap();
        prop_assert_eq!(frames.len(), 1);
        let back: Init<'_> = serde_json::from_slice(&frames[0].meta).unwrap();
        prop_assert_eq!(back, init);
    }

    #[test]
    fn errors_and_answers_survive_however_the_stream_is_cut(
        invocation in ".{0,40}", error_type in ".{0,40}", error_message in ".{0,400}",
        stack_trace in prop::collection::vec(".{0,80}", 0..9),
        effects in prop::collection::vec((".{0,20}", prop::option::of(".{0,20}")), 0..5),
        answer in prop::collection::vec(any::<u8>(), 0..70_000),
        pieces in prop::collection::vec(0usize..5_000, 0..40),
    ) {
        let effects = effects.into_iter().map(|(kind, id)| effect(kind, id)).collect();
        let error = CallError { invocation: invocation.clone(), error_type, error_message, stack_trace };
        let response = Response { invocation, effects };
        let mut encoder = Encoder::default();
        let mut stream = Vec::new();
        stream.extend_from_slice(&whole(encoder.encode(&error, Bytes::new()).unwrap()));
        stream.extend_from_slice(&whole(encoder.encode(&response, answer.clone().into()).unwrap()));
        stream.extend_from_slice(&whole(encoder.encode(&error, Bytes::new()).unwrap()));
        let told: Vec<_> = decode_in_pieces(&stream, &pieces).unwrap()
            .into_iter().map(|frame| FromShim::try_from(frame).unwrap()).collect();
        prop_assert_eq!(told, vec![
            FromShim::Error(error.clone()),
            FromShim::Response { response, answer: answer.into() },
            FromShim::Error(error),
        ]);
    }

    #[test]
    fn any_bytes_are_frames_or_an_error_in_bounded_memory(
        bytes in prop::collection::vec(any::<u8>(), 0..4_096),
        pieces in prop::collection::vec(0usize..64, 0..64),
    ) {
        if let Ok(frames) = decode_in_pieces(&bytes, &pieces) {
            let told: usize = frames.iter().map(|f| HEADER_BYTES + f.meta.len() + f.payload.len()).sum();
            prop_assert_eq!(told, bytes.len());
        }
    }

    #[test]
    fn near_frames_never_panic(
        kind in any_kind(), meta in ".{0,200}", payload in prop::collection::vec(any::<u8>(), 0..200),
        longer_by in -20i64..20, pieces in prop::collection::vec(0usize..32, 0..32),
    ) {
        let told = u32::try_from((i64::try_from(meta.len()).unwrap() + longer_by).max(0)).unwrap();
        let mut bytes = raw(kind, 1, 0, told, u32::try_from(payload.len()).unwrap());
        bytes.extend_from_slice(meta.as_bytes());
        bytes.extend_from_slice(&payload);
        for frame in decode_in_pieces(&bytes, &pieces).into_iter().flatten() {
            let _either_is_fine = FromShim::try_from(frame).is_ok();
        }
    }
}
