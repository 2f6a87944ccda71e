//! Arrays in the event: elements, one and the same element, and absence.

use super::{all, check, one};

#[test]
fn one_element_is_enough_for_a_list_of_alternatives() {
    all(r#""a""#, &[r#"["b","a"]"#, r#"[["b",["a"]]]"#], &["[]", r#"["b"]"#, r#"[{"a":"a"}]"#]);
    all(r#"{"numeric":[">",5]}"#, &["[1,6]"], &["[1,5]", r#"["6"]"#]);
    one(r#""a""#, r#"[{"k":1},"a"]"#, true);
}

#[test]
fn anything_but_needs_one_element_that_is_something_else() {
    all(r#"{"anything-but":"a"}"#, &[r#"["a","b"]"#, r#"["a",null]"#], &[r#"["a","a"]"#, "[]"]);
    all(r#"{"anything-but":{"prefix":"a"}}"#, &[r#"["ab","b"]"#], &[r#"["ab","ac"]"#]);
}

const EMPLOYEES: &str = r#"{"e":[{"first":"John","last":"Doe"},{"first":"Anna","last":"Smith"},
    [{"first":"Peter","last":"Jones","tags":["x","y"]}]]}"#;

#[test]
fn fields_of_one_object_hold_for_one_element() {
    check(r#"{"e":{"first":["Anna"]}}"#, EMPLOYEES, true);
    check(r#"{"e":{"first":["Anna"],"last":["Smith"]}}"#, EMPLOYEES, true);
    check(r#"{"e":{"first":["Anna"],"last":["Jones"]}}"#, EMPLOYEES, false);
    check(r#"{"e":{"first":["Peter"],"last":["Jones"],"tags":["y"]}}"#, EMPLOYEES, true);
    check(r#"{"e":{"first":["Peter","Anna"],"tags":["z"]}}"#, EMPLOYEES, false);
}

#[test]
fn arrays_in_elements_are_chosen_within_their_element() {
    let event = r#"{"a":[{"k":1,"b":[{"c":1,"d":1},{"c":2,"d":2}]},{"k":2,"b":[{"c":3,"d":3}]}]}"#;
    check(r#"{"a":{"k":[1],"b":{"c":[2],"d":[2]}}}"#, event, true);
    check(r#"{"a":{"k":[1],"b":{"c":[1],"d":[2]}}}"#, event, false);
    check(r#"{"a":{"k":[2],"b":{"c":[2]}}}"#, event, false);
    check(r#"{"a":{"k":[2],"b":{"c":[3],"d":[3]}}}"#, event, true);
}

#[test]
fn an_element_may_show_it_deeper_down() {
    check(r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a":[{"b":{"c":1}},{}]}"#, true);
    check(r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a":[{"b":{"c":2}},{"c":1}]}"#, false);
    check(r#"{"a":{"$or":[{"b":[1]},{"c":[1]}]}}"#, r#"{"a":[{},{"c":1}]}"#, true);
}

#[test]
fn two_arrays_are_chosen_from_independently() {
    let event = r#"{"a":[{"x":1},{"x":2}],"b":[{"x":1},{"x":2}]}"#;
    check(r#"{"a":{"x":[1]},"b":{"x":[2]}}"#, event, true);
    check(r#"{"a":{"x":[1]},"b":{"x":[3]}}"#, event, false);
}

#[test]
fn one_element_is_meant_wherever_its_fields_are_named() {
    let pattern = r#"{"a":{"b":[1]},"$or":[{"a":{"c":[2]}},{"a":{"c":[3]}}]}"#;
    check(pattern, r#"{"a":[{"b":1},{"c":2}]}"#, false);
    check(pattern, r#"{"a":[{"b":1,"c":3},{"c":2}]}"#, true);
    let pattern = r#"{"$or":[{"a":{"b":[1]}},{"x":[1]}],"k":{"$or":[{"l":[1]},{"m":[1]}]}}"#;
    check(pattern, r#"{"a":[{"b":1}],"k":[{"m":1}]}"#, true);
    let pattern = r#"{"$or":[{"a":{"b":[1]}},{"x":[1]}],"a":{"$or":[{"c":[1]},{"d":[1]}]}}"#;
    check(pattern, r#"{"a":[{"b":1},{"d":1}]}"#, false);
    check(pattern, r#"{"a":[{"b":1},{"d":1,"b":1}]}"#, true);
    check(pattern, r#"{"x":1,"a":[{"b":1},{"d":1}]}"#, true);
    let within_a_member =
        r#"{"$or":[{"a":{"b":[1]},"$or":[{"a":{"c":[1]}},{"x":[1]}]},{"y":[1]}]}"#;
    check(within_a_member, r#"{"a":[{"b":1},{"c":1}]}"#, false);
    check(within_a_member, r#"{"a":[{"b":1,"c":1}]}"#, true);
    let through_a_member =
        r#"{"a":{"b":[1]},"$or":[{"$or":[{"a":{"c":[1]}},{"x":[1]}]},{"y":[1]}]}"#;
    check(through_a_member, r#"{"a":[{"b":1},{"c":1}]}"#, false);
    check(through_a_member, r#"{"a":[{"b":1,"c":1}]}"#, true);
}

#[test]
fn absence_is_about_every_element_unless_another_field_chose_one() {
    let alone = r#"{"a":{"b":[{"exists":false}]}}"#;
    check(alone, r#"{"a":[{"b":1},{"c":2}]}"#, false);
    check(alone, r#"{"a":[{"d":1},{"c":2}]}"#, true);
    check(alone, r#"{"a":[1,2]}"#, true);
    check(alone, r#"{"a":[1,{"b":2}]}"#, false);
    let chosen = r#"{"a":{"b":[{"exists":false}],"c":[2]}}"#;
    check(chosen, r#"{"a":[{"b":1},{"c":2}]}"#, true);
    check(chosen, r#"{"a":[{"c":1},{"b":1,"c":2}]}"#, false);
    check(r#"{"a":{"z":[{"exists":false}],"c":[2]}}"#, r#"{"a":[{"z":1},{"c":2}]}"#, true);
}

#[test]
fn an_or_of_absences_is_decided_before_the_array() {
    let pattern = r#"{"a":{"$or":[{"b":[{"exists":false}]},{"c":[{"exists":false}]}]}}"#;
    check(pattern, r#"{"a":[{"b":1},{"c":1}]}"#, false);
    check(pattern, r#"{"a":[{"b":1},{"b":1}]}"#, true);
    check(pattern, r#"{"a":{"b":1}}"#, true);
    check(pattern, r#"{"a":{"b":1,"c":1}}"#, false);
}

#[test]
fn what_is_no_object_is_no_record() {
    for event in ["5", "null", "[]", r#""x""#, r#"[{"x":1}]"#] {
        let pattern = super::Pattern::parse(r#"{"x":[1,{"exists":false}]}"#).unwrap();
        assert!(!pattern.matches(&super::json(event)), "{event}");
        assert!(matches!(pattern.explain(&super::json(event)), super::Verdict::Stopped(_)));
    }
}
