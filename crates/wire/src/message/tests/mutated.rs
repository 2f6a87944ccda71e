//! Mutated messages: whatever comes in is answered, and what is accepted is a record.

use super::*;

/// A small generator whose runs can be repeated: xorshift, from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const TELLING: &[u8] = b"{}[]\",:\\u0dD8e-+.1 \n\t\0\xff\xc3\xa9_AZ/=";
        if self.below(4) == 0 {
            self.below(256).try_into().unwrap()
        } else {
            TELLING[self.below(TELLING.len())]
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (at, byte) = (self.below(bytes.len()), self.byte());
            match self.below(8) {
                0 => bytes.insert(at, byte),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                3 => {
                    let end = at + self.below(bytes.len() - at);
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                _ if !bytes.is_empty() => bytes[at] = byte,
                _ => bytes.push(byte),
            }
        }
    }
}

#[test]
fn mutated_messages_are_answered_without_a_panic() {
    let secret = r#"{"event_type":"port.a","publisher_id":"network.b","timestamp":"2026-11-24 03:12:11",
        "payload":{"ports":[{"tenant_id":"t","auth_token":{"a":["}"]}}],"_context":"x\\"},"_context_tenant":"t"}"#;
    let mut seeds = vec![
        QUEUE.to_owned(),
        r#"{"type":"t","source":"S1","data":[1,2.5e3,"x\u00e9\ud83d\ude00"]}"#.into(),
        r#"{"specversion":"1.0","id":"1","source":"S1","type":"t","data":null}"#.into(),
        secret.into(),
    ];
    seeds.extend(notifications::SAMPLES.iter().map(|(_, body)| (*body).to_owned()));
    let formats = [Format::Auto, Format::LambdaQueue, plain(), Format::CloudEvents, oslo()];
    let inputs = if std::env::var_os("SLOW_TESTS").is_some() { 100_000 } else { 2_000 };
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    let mut accepted = 0;
    for input in 0..inputs {
        let seed = &seeds[input % seeds.len()];
        let mut body = seed.clone().into_bytes();
        // The inner message of an envelope is mutated as itself, or its quotes would hide it.
        let inner = serde_json::from_str::<Value>(seed).unwrap()["oslo.message"].take();
        match inner.as_str().filter(|_| chance.below(4) > 0) {
            Some(inner) => {
                let mut inner = inner.as_bytes().to_vec();
                chance.mutate(&mut inner);
                let inner = String::from_utf8_lossy(&inner).into_owned();
                body = json!({"oslo.version": "2.0", "oslo.message": inner}).to_string().into();
            }
            None => chance.mutate(&mut body),
        }
        let mut text = || {
            let mut bytes = b"cloudEvents:specversion".to_vec();
            chance.mutate(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let headers = [(text(), text())];
        let (content_type, id) = (text(), text());
        let odd = Raw {
            headers: &headers,
            content_type: Some(&content_type),
            message_id: Some(&id),
            queue: &id,
            routing_key: &id,
            ..raw(&body)
        };
        for format in &formats {
            for raw in [raw(&body), odd] {
                match read(format, &raw, RECEIVED) {
                    Ok(events) => {
                        accepted += 1;
                        for Read { event, .. } in events {
                            let again = cloudevents::structured(event.record.as_bytes(), None);
                            assert_eq!(again.as_ref(), Ok(&event));
                        }
                    }
                    Err(why) => {
                        let code = why.code();
                        assert!(code.starts_with("event.") || code.starts_with("message."));
                        // A refusal is kept and logged: it is never as long as what it refuses.
                        assert!((1..1_000).contains(&why.to_string().len()), "{code}");
                    }
                }
            }
        }
    }
    assert!(accepted > inputs / 4, "mutation must leave something to accept: {accepted}");
}
