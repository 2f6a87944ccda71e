//! `$or`, odd keys and the canonical form.

use super::{Pattern, check, json};

#[test]
fn an_or_holds_with_its_neighbours() {
    let pattern = r#"{"source":["s"],"$or":[{"a":[1]},{"b":[2],"c":[3]}]}"#;
    check(pattern, r#"{"source":"s","a":1}"#, true);
    check(pattern, r#"{"source":"s","b":2,"c":3}"#, true);
    check(pattern, r#"{"source":"s","b":2}"#, false);
    check(pattern, r#"{"source":"t","a":1}"#, false);
    check(pattern, r#"{"source":"s"}"#, false);
}

#[test]
fn ors_nest_and_stand_side_by_side() {
    let nested = r#"{"$or":[{"a":[1]},{"b":[1],"$or":[{"c":[1]},{"d":[1]}]}]}"#;
    check(nested, r#"{"a":1}"#, true);
    check(nested, r#"{"b":1,"d":1}"#, true);
    check(nested, r#"{"b":1}"#, false);
    check(nested, r#"{"d":1}"#, false);
    let both = r#"{"$or":[{"a":[1]},{"b":[1]}],"data":{"$or":[{"c":[1]},{"d":[1]}]}}"#;
    check(both, r#"{"b":1,"data":{"c":1}}"#, true);
    check(both, r#"{"b":1,"data":{"e":1}}"#, false);
    check(both, r#"{"data":{"c":1}}"#, false);
    check(both, r#"{"b":1,"data":[{"e":1},{"d":1}]}"#, true);
}

#[test]
fn one_key_beside_and_inside_an_or_has_to_satisfy_both() {
    let pattern = r#"{"a":[1,2],"$or":[{"a":[2,3]},{"b":[1]}]}"#;
    check(pattern, r#"{"a":2}"#, true);
    check(pattern, r#"{"a":3}"#, false);
    check(pattern, r#"{"a":1}"#, false);
    check(pattern, r#"{"a":1,"b":1}"#, true);
}

#[test]
fn keys_are_taken_literally() {
    check(r#"{"a.b":[1]}"#, r#"{"a.b":1}"#, true);
    check(r#"{"a.b":[1]}"#, r#"{"a":{"b":1}}"#, false);
    check(r#"{"a":{"b":[1]}}"#, r#"{"a.b":1}"#, false);
    check(r#"{"":[1]}"#, r#"{"":1}"#, true);
    check(r#"{"é\n😀":[1]}"#, r#"{"é\n😀":1}"#, true);
    check(r#"{"prefix":["a"],"=":[1]}"#, r#"{"prefix":"a","=":1}"#, true);
    check(r#"{"a":["$or"]}"#, r#"{"a":"$or"}"#, true);
}

#[track_caller]
fn canonical(pattern: &str, expect: &str) {
    let pattern = Pattern::parse(pattern).unwrap();
    assert_eq!(pattern.to_string(), expect);
    assert_eq!(pattern.to_value(), json(expect));
    assert_eq!(Pattern::from_value(&pattern.to_value()).unwrap(), pattern);
    assert_eq!(format!("{pattern:?}"), format!("Pattern({expect})"));
}

#[test]
fn two_spellings_have_one_canonical_text() {
    canonical("{ \"b\" : [ 3.0e2 , -0 ],\n\"a\":[1.50]}", r#"{"a":[1.5],"b":[300,0]}"#);
    canonical(r#"{"x":[{"numeric":[">",1.0,"<",2e1]}]}"#, r#"{"x":[{"numeric":[">",1,"<",20]}]}"#);
    canonical(r#"{"\u0061":["\u00e9","z"]}"#, r#"{"a":["é","z"]}"#);
    canonical(
        r#"{"b":[1],"$or":[{"d":[1],"c":[1]},{"a":[1]}]}"#,
        r#"{"$or":[{"c":[1],"d":[1]},{"a":[1]}],"b":[1]}"#,
    );
}

#[test]
fn a_pattern_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync + Clone + 'static>() {}
    shareable::<Pattern>();
}
