//! What every store promises, as tests that each implementation runs.
//!
//! [`tests!`] makes one test of each promise, given a way to make an empty store. A promise that
//! only one implementation can make (its files, its crashes) is tested beside that one.

pub(crate) mod calls;
pub(crate) mod catalogue;
pub(crate) mod events;
pub(crate) mod leases;
pub(crate) mod lists;
pub(crate) mod logs;
pub(crate) mod retention;
pub(crate) mod world;

pub(crate) use world::World;

/// `contract::tests!(make)`, where `make()` answers a [`World`] with an empty store.
macro_rules! tests {
    ($make:ident) => {
        $crate::contract::tests! { $make;
            catalogue {
                each_deploy_makes_the_next_version_and_leaves_the_others_alone,
                two_projects_can_use_one_name,
                a_trigger_is_replaced_by_name,
                a_trigger_for_a_deleted_function_is_refused,
                a_name_can_be_used_again_and_is_another_function,
                deleting_a_function_makes_dead_letters_of_what_waits,
                many_that_wait_are_all_buried,
                what_arrives_for_a_deleted_function_is_a_dead_letter_at_once,
                a_running_attempt_of_a_deleted_function_may_end_but_is_not_retried,
                a_key_name_is_taken_once_per_project,
            }
            events {
                an_event_is_stored_with_its_invocations,
                an_equal_key_within_the_window_is_the_first_event,
                an_equal_key_after_the_window_is_a_new_event,
                the_same_key_of_another_project_is_another_event,
                one_batch_can_hold_a_duplicate_of_itself,
                a_replay_adds_invocations_and_does_not_show_in_duplicates,
                an_append_that_fails_stores_nothing_and_does_not_hurt_its_neighbours,
                events_are_listed_oldest_first_and_filtered,
            }
            leases {
                due_invocations_are_claimed_oldest_due_first,
                nothing_is_claimed_before_it_is_due,
                what_has_become_too_old_can_be_claimed_apart,
                two_claims_never_get_the_same_invocation,
                only_the_running_attempt_settles_and_only_once,
                a_retry_waits_and_counts_whose_fault_it_was,
                giving_up_makes_a_dead_letter,
                a_lease_that_ends_is_taken_back_and_its_late_result_refused,
                a_renewed_lease_holds,
                leases_of_other_workers_are_taken_back_when_only_one_is_alive,
                a_redriven_dead_letter_starts_afresh_and_numbers_go_on,
                only_dead_letters_of_the_project_are_redriven,
                every_transition_is_told_in_order,
                what_waits_is_counted_per_function,
            }
            calls {
                a_call_is_recorded_whole,
                a_failed_call_is_failed_and_not_dead,
                recording_twice_changes_nothing,
                a_key_belongs_to_the_first_call_and_its_answer_to_all,
                a_key_with_another_body_is_told,
                a_key_is_free_again_after_its_window,
                a_released_key_can_be_taken_again,
                an_answer_larger_than_the_ledger_keeps_is_kept_for_its_key,
            }
            lists {
                invocations_are_listed_newest_first_and_filtered,
                paging_sees_each_invocation_once_while_others_are_written,
                a_project_sees_nothing_of_another,
                functions_and_versions_are_paged,
                a_foreign_cursor_is_refused,
                counts_follow_what_happens,
            }
            logs {
                lines_come_in_order_page_by_page_and_can_be_followed,
                a_function_log_holds_its_invocations_since_a_time,
                lines_before_the_end_of_an_attempt_are_seen,
                a_large_log_comes_in_bounded_pages,
            }
            retention {
                what_ended_long_ago_is_swept_with_everything_of_it,
                what_still_waits_or_runs_is_never_swept,
                an_event_within_the_dedupe_window_outlives_its_invocations,
                a_sweep_stops_at_its_limit,
                a_deleted_function_is_forgotten_when_nothing_names_it,
                code_of_a_version_is_in_use,
            }
        }
    };
    ($make:ident; $($module:ident { $($name:ident,)* })*) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $name() {
                    $crate::contract::$module::$name(super::$make()).await;
                }
            )*
        }
    )*};
}
pub(crate) use tests;
