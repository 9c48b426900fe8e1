//! What there is to do for an object now, by the object, its record and what the queue remembers.
//!
//! The decision is made when a call is about to start, not when a change arrives: so waiting changes merge by themselves into
//! the one that matters most, and a restart comes to the same decision as a host that never stopped.

use std::collections::BTreeSet;

use crate::{
    cause::Cause,
    digest::Digest,
    essence::Essence,
    record::{HandledBy, Outcome, Record},
};

/// What the queue knows of an object that can't be seen on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// A child changed or went.
    pub child_changed: bool,
    /// The plugin's requeue interval is over.
    pub requeued: bool,
    /// The host has started.
    pub resumed: bool,
}

impl Hints {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            child_changed: self.child_changed || other.child_changed,
            requeued: self.requeued || other.requeued,
            resumed: self.resumed || other.resumed,
        }
    }
}

/// All that a decision rests on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Situation<'a> {
    /// The object is being deleted.
    pub deleting: bool,
    /// It carries this plugin's finalizer.
    pub finalizer: bool,
    /// Its namespace and labels are those that the config asks for.
    pub selected: bool,
    /// A person has stopped all calls for it.
    pub paused: bool,
    /// Its children look otherwise than recorded. After a start only: before, a change of one is a hint.
    pub children_differ: bool,
    /// Its essence.
    pub essence: &'a Essence,
    /// What this plugin handled of it.
    pub record: Option<&'a Record>,
    /// The plugin and settings that would handle it.
    pub by: &'a HandledBy,
    /// What the config calls the plugin for.
    pub on: &'a BTreeSet<Cause>,
    /// What the queue remembers.
    pub hints: Hints,
}

/// What a call is about. One that failed is repeated before its time only where this has become another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    essence: Digest,
    rest: Digest,
}

impl Subject {
    /// Of this object, handled by this plugin.
    pub fn of(uid: &str, situation: &Situation) -> Self {
        let Situation { deleting, selected, essence, by, .. } = situation;
        let HandledBy { plugin, settings } = by;
        let rest = Digest::of(format!("{uid} {deleting} {selected} {plugin} {settings}"));
        Self { essence: essence.digest.clone(), rest }
    }

    /// The same with another essence: what the call itself made of the object.
    #[must_use]
    pub fn with_essence(self, essence: Digest) -> Self {
        Self { essence, ..self }
    }
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// Nothing as long as it is paused.
    Pause,
    /// Call the plugin.
    Call(Cause),
    /// The plugin is not called for new objects but for what comes later: record the object, so that this can be told, and hold it
    /// where its deletion is wanted.
    Note,
    /// It is being deleted and the plugin is not called for that: see to its children and take our finalizer away.
    Release,
}

/// Decides; the causes in the order in which they win over each other.
pub fn decide(situation: &Situation) -> Decision {
    let Situation { deleting, finalizer, selected, paused, children_differ, essence, record, by, on, hints } =
        *situation;
    let wants = |cause| on.contains(&cause);
    let rejected = record.filter(|r| r.outcome == Outcome::Rejected);
    let rejected_as_it_is = rejected.is_some_and(|r| r.essence_digest == essence.digest && r.is_by(by));

    if paused {
        return Decision::Pause;
    }
    if deleting {
        return match (finalizer, wants(Cause::Deleted)) {
            (false, _) => Decision::Nothing,
            (true, false) => Decision::Release,
            // What was refused is the update; the deletion has not been told yet.
            (true, true) if rejected_as_it_is && rejected.is_some_and(|r| r.deleting) => Decision::Nothing,
            (true, true) => Decision::Call(Cause::Deleted),
        };
    }
    if !selected {
        return Decision::Nothing;
    }
    let Some(record) = record else {
        return if wants(Cause::Created) {
            Decision::Call(Cause::Created)
        } else if [Cause::Updated, Cause::Deleted, Cause::PluginChanged].into_iter().any(wants) {
            Decision::Note
        } else if hints.resumed && wants(Cause::Resumed) {
            Decision::Call(Cause::Resumed)
        } else {
            Decision::Nothing
        };
    };
    if rejected_as_it_is {
        return Decision::Nothing;
    }
    let changed = record.essence_digest != essence.digest;
    let because = [
        // Nothing of a rejected object has been handled: mended, it is new where changes are not wanted.
        (Cause::Created, changed && rejected.is_some() && !wants(Cause::Updated)),
        (Cause::Updated, changed && wants(Cause::Updated)),
        (Cause::ChildChanged, hints.child_changed || hints.resumed && children_differ),
        (Cause::Requeued, hints.requeued),
        // A rejected object waits for another plugin or other settings, whatever `on` says.
        (Cause::PluginChanged, !record.is_by(by) && (wants(Cause::PluginChanged) || rejected.is_some())),
        (Cause::Resumed, hints.resumed && wants(Cause::Resumed)),
    ];
    because.into_iter().find_map(|(cause, so)| so.then_some(Decision::Call(cause))).unwrap_or(Decision::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn essence(text: &str) -> Essence {
        Essence { text: text.into(), digest: Digest::of(text) }
    }

    fn by(plugin: &str) -> HandledBy {
        HandledBy { plugin: Digest::of(plugin), settings: Digest::of("{}") }
    }

    fn record(text: &str, plugin: &str, outcome: Outcome) -> Record {
        Record::new("u", "v1", &essence(text), false, &by(plugin), outcome)
    }

    const ALL_HINTS: Hints = Hints { child_changed: true, requeued: true, resumed: true };

    /// A live, selected object with essence `a`, handled by plugin `p`, all hints set, all causes wanted.
    #[expect(clippy::struct_excessive_bools, reason = "as in what it stands for")]
    struct Case {
        deleting: bool,
        finalizer: bool,
        selected: bool,
        paused: bool,
        children_differ: bool,
        essence: &'static str,
        record: Option<Record>,
        on: Vec<Cause>,
        hints: Hints,
    }

    impl Default for Case {
        fn default() -> Self {
            Self {
                deleting: false,
                finalizer: false,
                selected: true,
                paused: false,
                children_differ: false,
                essence: "a",
                record: Some(record("a", "p", Outcome::Done)),
                on: vec![Cause::Created, Cause::Updated, Cause::Deleted, Cause::PluginChanged, Cause::Resumed],
                hints: Hints::default(),
            }
        }
    }

    impl Case {
        fn with<T>(self, then: impl FnOnce(&Situation) -> T) -> T {
            then(&Situation {
                deleting: self.deleting,
                finalizer: self.finalizer,
                selected: self.selected,
                paused: self.paused,
                children_differ: self.children_differ,
                essence: &essence(self.essence),
                record: self.record.as_ref(),
                by: &by("p"),
                on: &self.on.into_iter().collect(),
                hints: self.hints,
            })
        }

        fn decide(self) -> Decision {
            self.with(decide)
        }
    }

    #[test]
    fn an_object_handled_as_it_is_calls_nobody() {
        assert_eq!(Case::default().decide(), Decision::Nothing);
    }

    #[test]
    fn deleted_wins_over_everything_and_needs_our_finalizer() {
        let dying = || Case { deleting: true, finalizer: true, record: None, hints: ALL_HINTS, ..Case::default() };
        assert_eq!(dying().decide(), Decision::Call(Cause::Deleted));
        assert_eq!(Case { selected: false, ..dying() }.decide(), Decision::Call(Cause::Deleted));
        assert_eq!(Case { finalizer: false, ..dying() }.decide(), Decision::Nothing);
        assert_eq!(Case { on: vec![Cause::Created], ..dying() }.decide(), Decision::Release);
    }

    #[test]
    fn the_waiting_causes_win_in_their_order() {
        let other = Some(record("b", "q", Outcome::Done));
        let all = Case { record: other, hints: ALL_HINTS, ..Case::default() };
        assert_eq!(all.decide(), Decision::Call(Cause::Updated));
        let swapped = || Some(record("a", "q", Outcome::Done));
        let steps = [
            (Hints { child_changed: true, requeued: true, resumed: true }, Cause::ChildChanged),
            (Hints { requeued: true, resumed: true, ..Hints::default() }, Cause::Requeued),
            (Hints { resumed: true, ..Hints::default() }, Cause::PluginChanged),
        ];
        for (hints, cause) in steps {
            assert_eq!(Case { record: swapped(), hints, ..Case::default() }.decide(), Decision::Call(cause));
        }
        let resumed = Hints { resumed: true, ..Hints::default() };
        assert_eq!(Case { hints: resumed, ..Case::default() }.decide(), Decision::Call(Cause::Resumed));
    }

    #[test]
    fn an_object_without_record_is_created_or_noted() {
        let new = |on: &[Cause]| Case { record: None, on: on.to_vec(), ..Case::default() }.decide();
        assert_eq!(new(&[Cause::Created]), Decision::Call(Cause::Created));
        assert_eq!(new(&[Cause::Updated]), Decision::Note);
        assert_eq!(new(&[Cause::PluginChanged]), Decision::Note);
        assert_eq!(new(&[Cause::Deleted]), Decision::Note);
    }

    #[test]
    fn resumed_calls_also_for_an_object_without_record_where_only_it_is_wanted() {
        let case = |hints| Case { record: None, on: vec![Cause::Resumed], hints, ..Case::default() };
        assert_eq!(case(ALL_HINTS).decide(), Decision::Call(Cause::Resumed));
        assert_eq!(case(Hints::default()).decide(), Decision::Nothing);
    }

    #[test]
    fn what_on_leaves_out_does_not_call() {
        let quiet =
            |record, hints| Case { record: Some(record), hints, on: vec![Cause::Created], ..Case::default() }.decide();
        let resumed = Hints { resumed: true, ..Hints::default() };
        assert_eq!(quiet(record("b", "p", Outcome::Done), Hints::default()), Decision::Nothing);
        assert_eq!(quiet(record("a", "q", Outcome::Done), resumed), Decision::Nothing);
    }

    #[test]
    fn an_object_that_is_not_selected_calls_nobody() {
        let outside = Case { selected: false, record: None, hints: ALL_HINTS, ..Case::default() };
        assert_eq!(outside.decide(), Decision::Nothing);
    }

    #[test]
    fn a_paused_object_calls_nobody_not_even_when_it_goes() {
        let paused = |deleting| Case { paused: true, deleting, finalizer: true, hints: ALL_HINTS, ..Case::default() };
        assert_eq!((paused(false).decide(), paused(true).decide()), (Decision::Pause, Decision::Pause));
    }

    #[test]
    fn children_that_changed_while_no_host_ran_are_noticed_at_the_start() {
        let case = |resumed, children_differ| {
            let hints = Hints { resumed, ..Hints::default() };
            Case { hints, children_differ, on: vec![Cause::Created], ..Case::default() }.decide()
        };
        assert_eq!(case(true, true), Decision::Call(Cause::ChildChanged));
        assert_eq!((case(true, false), case(false, true)), (Decision::Nothing, Decision::Nothing));
    }

    #[test]
    fn a_call_is_about_something_else_where_object_plugin_or_selection_changed_not_by_hints() {
        let subject = |case: Case| case.with(|situation| Subject::of("u", situation));
        let same =
            subject(Case { hints: ALL_HINTS, children_differ: true, finalizer: true, record: None, ..Case::default() });
        assert_eq!(same, subject(Case::default()));
        assert_ne!(same, Case::default().with(|situation| Subject::of("v", situation)));
        assert_ne!(same, same.clone().with_essence(Digest::of("b")));
        assert_eq!(subject(Case { essence: "b", ..Case::default() }), same.clone().with_essence(Digest::of("b")));
        for other in [
            Case { deleting: true, ..Case::default() },
            Case { selected: false, ..Case::default() },
            Case { essence: "b", ..Case::default() },
        ] {
            assert_ne!(same, subject(other));
        }
        let swapped = |by: HandledBy| Case::default().with(|s| Subject::of("u", &Situation { by: &by, ..*s }));
        assert_ne!(same, swapped(by("q")));
        assert_ne!(same, swapped(HandledBy { settings: Digest::of("other"), ..by("p") }));
    }

    #[test]
    fn a_rejected_object_waits_for_a_change_of_object_plugin_or_settings() {
        let rejected = |text, plugin| Some(record(text, plugin, Outcome::Rejected));
        let case = |record| Case { record, hints: ALL_HINTS, ..Case::default() };
        assert_eq!(case(rejected("a", "p")).decide(), Decision::Nothing);
        assert_eq!(case(rejected("b", "p")).decide(), Decision::Call(Cause::Updated));
        let quiet = |record| Case { record, on: vec![Cause::Created], ..Case::default() }.decide();
        assert_eq!(quiet(rejected("a", "q")), Decision::Call(Cause::PluginChanged));
        assert_eq!(quiet(rejected("b", "p")), Decision::Call(Cause::Created), "mended, it is new");
    }

    #[test]
    fn a_rejected_update_does_not_silence_the_deletion_but_a_rejected_deletion_does() {
        let dying = |record| Case { deleting: true, finalizer: true, record: Some(record), ..Case::default() };
        let update = record("a", "p", Outcome::Rejected);
        assert_eq!(dying(update.clone()).decide(), Decision::Call(Cause::Deleted));
        let deletion = Record { deleting: true, ..update };
        assert_eq!(dying(deletion.clone()).decide(), Decision::Nothing);
        let changed = Record { essence_digest: Digest::of("b"), ..deletion };
        assert_eq!(dying(changed).decide(), Decision::Call(Cause::Deleted));
    }

    #[test]
    fn hints_add_up() {
        let child = Hints { child_changed: true, ..Hints::default() };
        let timer = Hints { requeued: true, ..Hints::default() };
        let both = Hints { child_changed: true, requeued: true, resumed: false };
        assert_eq!(child.and(timer), both);
        assert_eq!(Hints::default().and(Hints { resumed: true, ..child }), Hints { resumed: true, ..child });
    }
}
