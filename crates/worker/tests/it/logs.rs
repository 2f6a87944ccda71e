//! What functions write, and to whom it belongs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::invocation::Stream;
use model::limits;

use crate::bed::{Bed, Follower, answer, lines};

pub(crate) fn lines_belong_to_the_attempt_that_wrote_them() {
    let bed = Bed::new();
    let spec = bed.function(
        "import sys\n\
         def handler(event, context):\n    \
         print('one', event)\n    \
         print('two', event, end='')\n    \
         print('three', event, file=sys.stderr)\n",
    );
    for number in 0..20 {
        let report = bed.call(&spec, &number.to_string());
        assert_eq!(
            lines(&report, Stream::Stdout),
            [format!("one {number}"), format!("two {number}")]
        );
        assert_eq!(lines(&report, Stream::Stderr), [format!("three {number}")]);
        assert_eq!((report.log.len(), report.log_dropped_bytes), (3, 0));
    }
}

pub(crate) fn what_is_printed_while_loading_belongs_to_the_first_attempt() {
    let bed = Bed::new();
    let spec = bed.function("print('loading')\ndef handler(event, context):\n    print('run')\n");
    assert_eq!(lines(&bed.call(&spec, "{}"), Stream::Stdout), ["loading", "run"]);
    assert_eq!(lines(&bed.call(&spec, "{}"), Stream::Stdout), ["run"]);
    let broken = bed.function("print('before')\nimport no_such_module\n");
    assert_eq!(lines(&bed.call(&broken, "{}"), Stream::Stdout), ["before"]);
}

pub(crate) fn no_line_can_forge_another() {
    let bed = Bed::new();
    let spec = bed.function(
        "import os\n\
         def handler(event, context):\n    \
         os.write(1, b'\\x1b[2Jclear\\r\\nnul \\0 bad \\xff\\rback\\n')\n",
    );
    let report = bed.call(&spec, "{}");
    let stdout = lines(&report, Stream::Stdout);
    assert_eq!(stdout, [r"\x1b[2Jclear", r"nul \x00 bad \xff\rback"]);
}

pub(crate) fn a_flood_is_cut_marked_and_counted_and_does_not_hold_the_function_up() {
    let bed = Bed::new();
    let flood = "import os\n\
                 def handler(event, context):\n    \
                 line = b'x' * 99 + b'\\n'\n    \
                 for _ in range(200): os.write(1, line * 500)\n    \
                 return 'done'\n";
    let spec = bed.function(flood);
    let report = bed.call(&spec, "{}");
    assert_eq!(answer(&report), "\"done\"");
    let kept = lines(&report, Stream::Stdout);
    assert_eq!(kept.len(), limits::LOG_BYTES_PER_ATTEMPT / 100);
    assert_eq!(report.log_dropped_bytes, (200 * 500 - kept.len() as u64) * 100);
    let marks = lines(&report, Stream::Platform);
    assert!(marks.len() == 1 && marks[0].contains("the log is cut here"), "{marks:?}");
    // One line without an end.
    let spec =
        bed.function("import os\ndef handler(event, context):\n    os.write(2, b'y' * 300_000)\n");
    let report = bed.call(&spec, "{}");
    let lengths: Vec<_> = lines(&report, Stream::Stderr).iter().map(|l| l.len()).collect();
    let whole = limits::LOG_LINE_BYTES;
    assert_eq!(lengths, [whole, whole, whole, whole, 300_000 - 4 * whole]);
}

pub(crate) fn what_is_written_between_two_attempts_belongs_to_neither() {
    let bed = Bed::with(|config| config.freeze_after = Duration::from_secs(60));
    let spec = bed.function(
        "import threading, time\n\
         def late():\n    time.sleep(.05)\n    print('late')\n\
         def handler(event, context):\n    \
         if event: threading.Thread(target=late).start()\n    \
         print('now')\n",
    );
    assert_eq!(lines(&bed.call(&spec, "true"), Stream::Stdout), ["now"]);
    std::thread::sleep(Duration::from_millis(200)); // the function's own time, not ours
    let next = bed.call(&spec, "false");
    assert_eq!(lines(&next, Stream::Stdout), ["now"]);
    assert_eq!(next.log_dropped_bytes, 5);
    let marks = lines(&next, Stream::Platform);
    assert!(marks.len() == 1 && marks[0].contains("5 bytes"), "{marks:?}");
}

pub(crate) fn a_long_attempt_can_be_followed_while_it_runs() {
    let bed = Bed::new();
    let spec = bed.function(
        "import time\n\
         def handler(event, context):\n    \
         print('early')\n    time.sleep(1.5)\n    print('late')\n",
    );
    let follower = Arc::new(Follower::default());
    let mut job = bed.job(&spec, "{}");
    job.live_log = Some(follower.clone());
    let report = bed.run(job);
    let followed: Vec<_> =
        follower.lines.lock().unwrap().iter().map(|line| line.text.clone()).collect();
    assert_eq!(followed, ["early"]);
    assert_eq!(follower.times.load(Ordering::Relaxed), 1);
    assert_eq!(lines(&report, Stream::Stdout), ["late"]);
}
