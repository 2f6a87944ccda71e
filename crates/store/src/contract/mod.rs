//! What every store promises, as tests that each implementation runs.
//!
//! [`tests!`] makes one test of each promise, given a way to make an empty store. A promise that
//! only one implementation can make (its files, its crashes) is tested beside that one.

pub(crate) mod batches;
pub(crate) mod calls;
pub(crate) mod catalogue;
pub(crate) mod events;
pub(crate) mod lanes;
pub(crate) mod leases;
pub(crate) mod lists;
pub(crate) mod logs;
pub(crate) mod ordering;
pub(crate) mod outbox;
pub(crate) mod replays;
pub(crate) mod retention;
pub(crate) mod sources;
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
                events_are_listed_in_the_order_of_their_arrival,
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
            lanes {
                what_a_trigger_does_with_its_events_is_kept,
                a_claim_takes_from_one_lane,
                a_retry_waits_in_its_own_lane,
                what_waits_is_counted_per_lane,
                a_full_batch_can_be_claimed_before_its_window_ends,
                a_lane_outlives_its_trigger_and_ends_with_its_function,
            }
            ordering {
                of_each_key_one_can_be_claimed_and_the_others_are_held,
                the_next_is_due_when_the_one_before_has_ended,
                the_order_is_that_of_storing_and_not_of_ids,
                an_interrupted_one_keeps_its_turn,
                another_round_is_behind_those_that_are_there,
                a_replay_is_behind_those_that_are_there,
                what_is_held_is_buried_with_its_function,
                a_key_that_is_too_long_is_refused,
            }
            batches {
                a_batch_is_settled_at_once_and_each_has_its_own_end,
                a_batch_that_cannot_be_settled_whole_is_not_settled_at_all,
                a_split_counts_for_nobody_and_makes_the_next_batch_smaller,
                a_split_for_a_deleted_function_is_a_dead_letter,
                an_attempt_tells_in_which_batch_it_was_made,
            }
            sources {
                a_source_is_kept_as_it_was_given,
                a_changed_source_keeps_its_id_and_cursor_unless_its_kind_changes,
                a_project_lists_its_own_sources,
                a_cursor_moves_with_its_events_and_only_from_where_it_is,
                of_those_who_read_the_same_one_stores_it,
                what_cannot_be_stored_leaves_the_cursor,
            }
            replays {
                a_replay_is_kept_as_it_was_ordered,
                a_replay_moves_with_its_invocations_and_only_from_where_it_is,
                of_those_who_make_the_same_step_one_does,
                an_ended_replay_does_not_move_and_stays_as_it_ended,
                a_step_that_cannot_be_stored_leaves_the_replay_where_it_is,
                a_step_leaves_out_what_a_sweep_has_taken,
                a_project_may_run_so_many_replays_at_once,
                replays_are_listed_newest_first_and_each_project_has_its_own,
                an_ended_replay_is_swept_and_a_running_one_is_not,
            }
            outbox {
                destinations_are_replaced_and_end_with_their_function,
                what_a_call_sends_is_recorded_with_it_once,
                a_message_exists_if_the_settlement_was_ours,
                what_was_to_be_sent_of_another_end_is_not,
                a_leased_message_has_all_that_sending_needs,
                a_message_is_tried_until_it_is_sent,
                a_message_can_be_given_up,
                a_try_that_nobody_heard_of_again_is_made_again,
                messages_of_a_worker_that_is_gone_come_back_at_once,
                a_claim_of_messages_takes_the_oldest_and_stops_at_its_limit,
                a_claim_of_messages_is_bounded_in_bytes,
                an_event_is_delivered_to_this_ledger_once,
                an_event_that_cannot_be_stored_leaves_its_message,
                messages_are_swept_with_their_invocation_and_never_before_they_ended,
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
