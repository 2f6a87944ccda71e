//! Calls: deploy a function, call it, and see the answer, the log and the record.

use serde_json::json;

use crate::service::{Service, wait_until};

const HELLO: &str =
    "def handler(event, context):\n    return {'hello': event.get('name', 'world')}\n";

#[test]
fn a_deployed_function_answers_and_leaves_a_record() {
    let service = Service::start();
    let function = service.deploy("hello", HELLO, &[]).expect(201).json();
    assert_eq!(
        (&function["version"], &function["handler"]),
        (&json!(1), &json!("handler.handler"))
    );
    let answer = service.invoke("hello", &json!({"name": "you"})).expect(200);
    assert_eq!(answer.body, br#"{"hello":"you"}"#, "the function's answer, byte for byte");
    let id = &answer.headers["lambent-invocation-id"];
    let record = service.invocation(id);
    assert_eq!(record["status"], "succeeded");
    assert_eq!((&record["attempts"], &record["version"]), (&json!(1), &json!(1)));
    assert_eq!(record["result"], json!({"hello": "you"}));
    for part in ["queued_ms", "placed_ms", "sandbox_ms", "init_ms", "run_ms"] {
        assert!(record[part].is_f64(), "{part} in {record}");
    }
    assert_eq!(service.deploy("hello", HELLO, &[]).expect(200).json()["version"], 2);
}

#[test]
fn what_a_function_prints_is_the_log_of_its_invocation() {
    let service = Service::start();
    let source = "import sys\ndef handler(event, context):\n    print('out', event['n'])\n    print('err', file=sys.stderr)\n";
    service.deploy("chatty", source, &[]).expect(201);
    for n in 1..=3 {
        let answer = service.invoke("chatty", &json!({"n": n})).expect(200);
        let lines = service.lines(&answer.headers["lambent-invocation-id"]);
        assert!(lines.contains(&format!("out {n}")) && lines.contains(&"err".into()), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
    }
    let log = service.get("/v1/functions/chatty/logs").expect(200).json();
    assert_eq!(log["items"].as_array().unwrap().len(), 6);
    assert_eq!(log["next"], json!(null));
}

#[test]
fn a_function_that_raises_is_told_with_its_code_and_trace_and_never_as_a_success() {
    let service = Service::start();
    let source = "def handler(event, context):\n    raise ValueError('boom ' + event['what'])\n";
    service.deploy("boom", source, &[]).expect(201);
    let answer = service.invoke("boom", &json!({"what": "x"})).expect(502);
    assert_eq!(answer.headers["lambent-function-error"], "ValueError");
    let problem = answer.json();
    assert_eq!(problem["code"], "function_failed");
    assert_eq!((&problem["reason"], &problem["detail"]), (&json!("ValueError"), &json!("boom x")));
    assert!(problem["trace"][0].as_str().unwrap().contains("handler.py"), "{problem}");
    let record = service.invocation(&answer.headers["lambent-invocation-id"]);
    assert_eq!(
        (&record["status"], &record["error"]["code"]),
        (&json!("failed"), &json!("ValueError"))
    );
}

#[test]
fn every_way_to_fail_has_its_own_stable_code() {
    let service = Service::start();
    let run = |name: &str, source: &str, settings: &[(&str, &str)]| {
        service.deploy(name, source, settings).expect(201);
        let answer = service.invoke(name, &json!({}));
        (answer.status, answer.json()["reason"].as_str().unwrap_or("none").to_owned())
    };
    let slow = "import time\ndef handler(e, c):\n    time.sleep(60)\n";
    assert_eq!(run("slow", slow, &[("timeout_s", "1")]), (504, "Sandbox.Timeout".into()));
    let hog = "def handler(e, c):\n    x = []\n    while True: x.append(bytearray(1 << 20))\n";
    assert_eq!(run("hog", hog, &[("memory_mib", "64")]), (502, "Runtime.OutOfMemory".into()));
    let exits = "import os\ndef handler(e, c):\n    os._exit(3)\n";
    assert_eq!(run("exits", exits, &[]), (502, "Runtime.ExitError".into()));
    let crashes =
        "import os, signal\ndef handler(e, c):\n    os.kill(os.getpid(), signal.SIGSEGV)\n";
    assert_eq!(run("crashes", crashes, &[]), (502, "Runtime.ExitError".into()));
    let broken = "import nothing_of_this_name\n";
    assert_eq!(run("broken", broken, &[]), (502, "Runtime.ImportModuleError".into()));
    let syntax = "def handler(:\n";
    assert_eq!(run("syntax", syntax, &[]), (502, "Runtime.UserCodeSyntaxError".into()));
    let absent = "def other(e, c): pass\n";
    assert_eq!(run("absent", absent, &[]), (502, "Runtime.HandlerNotFound".into()));
    let set = "def handler(e, c): return {1, 2}\n";
    assert_eq!(run("set", set, &[]), (502, "Runtime.MarshalError".into()));
    let huge = "def handler(e, c): return 'x' * (7 << 20)\n";
    assert_eq!(run("huge", huge, &[]), (502, "Function.ResponseSizeTooLarge".into()));
    assert_eq!(service.invoke("set", &json!({})).status, 502, "the service is well after all that");
}

#[test]
fn calls_with_the_same_idempotency_key_run_once_and_answer_alike() {
    let service = Service::start();
    let source = "import uuid, time\ndef handler(e, c):\n    time.sleep(0.2)\n    return str(uuid.uuid4())\n";
    service.deploy("once", source, &[]).expect(201);
    let call = |key: &str, body: &[u8]| {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        service.request("POST", "/v1/functions/once/invoke", &headers, body)
    };
    let answers: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| call("k1", b"{}"))).collect();
        calls.into_iter().map(|call| call.join().unwrap().expect(200).body).collect()
    });
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(call("k1", b"{\"other\":1}").code(), "idempotency_key_reused");
    assert_ne!(call("k2", b"{}").expect(200).body, answers[0]);
    let data = service.data().to_owned();
    let mut service = service;
    assert!(service.stop().success());
    let service = Service::start_on(&data, &[], &[]);
    let headers = [("idempotency-key", "k1")];
    let again = service.request("POST", "/v1/functions/once/invoke", &headers, b"{}").expect(200);
    assert_eq!(again.body, answers[0], "the answer outlives the process");
    assert_eq!(again.headers["lambent-idempotent-replay"], "true");
}

#[test]
fn a_function_at_its_limit_refuses_calls_and_says_when_to_come_again() {
    let service = Service::start();
    let source =
        "import time\ndef handler(e, c):\n    time.sleep(e.get('s', 0))\n    return 'ok'\n";
    service.deploy("narrow", source, &[("concurrency", "1")]).expect(201);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            wait_until("the first call got its place", || {
                let answer = service.invoke("narrow", &json!({"s": 2}));
                if answer.status == 429 { Err(()) } else { Ok(answer) }
            })
        });
        let refused = wait_until("a second call is refused", || {
            let answer = service.invoke("narrow", &json!({}));
            if answer.status == 429 { Ok(answer) } else { Err(answer.status) }
        });
        assert_eq!(refused.code(), "too_many_requests");
        assert_eq!(refused.headers["retry-after"], "1");
        first.join().unwrap().expect(200);
    });
    service.deploy("narrow", source, &[("concurrency", "0")]).expect(200);
    assert_eq!(service.invoke("narrow", &json!({})).status, 429, "zero stops it");
}

#[test]
fn bad_input_gets_a_code_and_names_what_is_wrong() {
    let service = Service::start();
    service.deploy("hello", HELLO, &[]).expect(201);
    let invoke = |body: &[u8]| service.post("/v1/functions/hello/invoke", body);
    assert_eq!(invoke(b"{").code(), "invalid_json");
    assert_eq!(invoke(b"\xff").code(), "invalid_json");
    assert_eq!(invoke("[".repeat(100_000).as_bytes()).code(), "invalid_json");
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(invoke(deep.as_bytes()).code(), "invalid_json");
    assert_eq!(invoke(&vec![b' '; 6 * 1024 * 1024 + 1]).expect(413).code(), "body_too_large");
    invoke(b"").expect(200);
    invoke(br#"{"n": 1e400}"#).expect(200);
    assert_eq!(service.invoke("nobody", &json!({})).expect(404).code(), "not_found");
    assert_eq!(service.get("/v1/nothing").expect(404).code(), "not_found");
    assert_eq!(
        service.request("PATCH", "/v1/functions", &[], b"").expect(405).code(),
        "method_not_allowed"
    );
    for (settings, field) in [
        (("memory_mib", "10"), "memory_mib"),
        (("memory_mib", "x"), "memory_mib"),
        (("timeout_s", "901"), "timeout_s"),
        (("handler", "os.system('x')"), "handler"),
        (("handler", "missing.handler"), "handler"),
        (("env.LD_PRELOAD", "x"), "env"),
        (("nonsense", "x"), "nonsense"),
    ] {
        let refused = service.deploy("bad", HELLO, &[settings]).expect(400).json();
        assert_eq!(refused["field"], field, "{refused}");
    }
    assert_eq!(service.deploy("bad", HELLO, &[("runtime", "cobol")]).code(), "unknown_runtime");
    assert_eq!(service.deploy("a%20b", HELLO, &[]).expect(400).code(), "invalid_value");
    assert_eq!(
        service.get("/v1/functions/bad").expect(404).code(),
        "not_found",
        "nothing was kept"
    );
    let list = service.get("/v1/invocations?limit=1001").expect(400).json();
    assert_eq!(list["field"], "limit");
    assert_eq!(service.get("/v1/invocations?cursor=nonsense").code(), "invalid_cursor");
}
