//! Answers questions from blocks, and from the records themselves where no section tells apart what is asked for.

use foldhash::HashMap;
use headworks_api::storage::RequestRecord;

use super::{
    Rollups,
    block::{Block, rows},
    facets::{Extra, FACETS, Facet, Section, extras},
    kept::Kept,
    sums::Sums,
    times::{DAY, HOUR, Level, MINUTE, month},
};
use crate::{
    StoreError,
    ledger::{WINDOWS, decode, place as window_place, time_of},
};

/// Most records that one question may read, where blocks cannot answer it.
const MOST_RECORDS: usize = 500_000;
/// No call lasts longer, so no record lands later after its call began, seconds.
const LONGEST_CALL: i64 = DAY;

/// What calls are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// One of the facets that every call has.
    Facet(Facet),
    /// Tags; a call with several is counted for each.
    Tag,
    /// The application's user.
    User,
    /// The value of this metadata field.
    Metadata(String),
}

impl By {
    /// Reads a name: `key`, `group`, `model`, ..., `tag`, `user`, `metadata.NAME`.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some(field) = name.strip_prefix("metadata.").filter(|field| !field.is_empty()) {
            return Some(By::Metadata(field.to_owned()));
        }
        match name {
            "tag" => Some(By::Tag),
            "user" => Some(By::User),
            _ => Facet::ALL.into_iter().find(|facet| facet.name() == name).map(By::Facet),
        }
    }

    const fn extra(&self) -> Option<Extra> {
        match self {
            By::Facet(_) => None,
            By::Tag => Some(Extra::Tag),
            By::User => Some(Extra::User),
            By::Metadata(_) => Some(Extra::Metadata),
        }
    }
}

/// Only calls with this value; for groups, those of any group above too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Only {
    /// Of what.
    pub by: By,
    /// The value.
    pub value: String,
}

/// In steps of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Step {
    /// One sum.
    #[default]
    Whole,
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days, UTC.
    Day,
    /// Calendar months, UTC.
    Month,
}

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Calls that began from here on, Unix seconds.
    pub from: i64,
    /// Calls that began before this, Unix seconds.
    pub until: i64,
    /// Of those, which.
    pub only: Vec<Only>,
    /// Told apart by what.
    pub by: Vec<By>,
    /// In steps.
    pub step: Step,
    /// With percentiles: they cost reading the sketches.
    pub percentiles: bool,
}

/// A row of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Beginning of its step, Unix seconds; that of the question where there are no steps.
    pub start: i64,
    /// The values, in the order asked for.
    pub values: Vec<String>,
    /// The sums.
    pub sums: Sums,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Minutes are kept for a while only.
    #[error("minutes are told apart for {0} days only; ask for hours or days, or for a later start")]
    MinutesGone(u32),
    /// Too many records would have to be read.
    #[error(
        "this combination of tags, users and metadata is not kept summed up, and more than {MOST_RECORDS} records lie in the time asked for; \
         ask for less time, or for fewer of them at once"
    )]
    TooMany,
}

/// The answer as it grows: rows by the beginning of their step and their values.
#[derive(Default)]
struct Answer {
    places: HashMap<(i64, Vec<String>), usize>,
    rows: Vec<Sums>,
}

impl Answer {
    fn place(&mut self, start: i64, values: Vec<String>) -> usize {
        *self.places.entry((start, values)).or_insert_with(|| {
            self.rows.push(Sums::default());
            self.rows.len() - 1
        })
    }

    fn row(&mut self, start: i64, values: Vec<String>) -> Option<&mut Sums> {
        let place = self.place(start, values);
        self.rows.get_mut(place)
    }

    fn sorted(mut self) -> Vec<Row> {
        let mut places: Vec<_> = self.places.into_iter().collect();
        places.sort_unstable();
        let row = |((start, values), place): ((i64, Vec<String>), usize)| Row {
            start,
            values,
            sums: self.rows.get_mut(place).map(std::mem::take).unwrap_or_default(),
        };
        places.into_iter().map(row).collect()
    }
}

impl Rollups {
    /// Answers a question. Rows come by step, then by values. Times are rounded outwards to minutes,
    /// or to what is still told apart at that age.
    pub async fn query(&self, question: &Question, now: i64) -> Result<Vec<Row>, QueryError> {
        let keep = self.shared.keep;
        let aged = |days: u32| if days == 0 { i64::MIN } else { (now.div_euclid(DAY) - i64::from(days) + 1) * DAY };
        if question.step == Step::Minute && question.from < aged(keep.minute_days) {
            return Err(QueryError::MinutesGone(keep.minute_days));
        }
        let unit = |at: i64| {
            if at < aged(keep.hour_days) {
                DAY
            } else if at < aged(keep.minute_days) {
                HOUR
            } else {
                MINUTE
            }
        };
        let from = question.from.max(0).div_euclid(unit(question.from)) * unit(question.from);
        // Nothing begins later than now, give or take a clock.
        let until = question.until.min(now + 2 * DAY);
        let until = (until + unit(until) - 1).div_euclid(unit(until)) * unit(until);
        let mut answer = Answer::default();
        if section(question, Level::Minute).is_some() {
            self.sum_blocks(question, from, until, &mut answer).await?;
        } else {
            self.sum_records(question, from, until, &mut answer).await?;
        }
        let mut rows = answer.sorted();
        if question.step == Step::Whole {
            rows.iter_mut().for_each(|row| row.start = from);
        }
        Ok(rows)
    }

    async fn sum_blocks(&self, question: &Question, from: i64, until: i64, answer: &mut Answer) -> Result<(), StoreError> {
        let _turn = self.shared.turn.read().await;
        let state = *self.shared.state.lock();
        for (level, first, after) in pieces(from, until, question.step, state.hours_closed, state.days_closed) {
            let Some(section) = section(question, level) else { continue };
            let add = |at, bytes: &[u8]| add_kept(question, step(question.step, at * level.seconds()), &Kept::read(bytes)?, answer);
            self.each_kept(section, level, first, after, add).await?;
        }
        let whole = section(question, Level::Minute).map(Section::whole);
        let pending = self.shared.pending.lock();
        for ((start, _), counted) in pending.counted.range((from, Level::Minute)..(until, Level::Minute)) {
            if let Some(block) = whole.and_then(|whole| counted.get(&whole)) {
                add_block(question, step(question.step, *start), block, answer);
            }
        }
        Ok(())
    }

    /// From the records themselves.
    async fn sum_records(&self, question: &Question, from: i64, until: i64, answer: &mut Answer) -> Result<(), QueryError> {
        let nanos = |seconds: i64| u64::try_from(seconds.saturating_mul(1_000_000_000)).unwrap_or(0);
        let mut after = Some(window_place(nanos(from)));
        let mut count = 0;
        loop {
            let page = self.shared.store.scan(WINDOWS, after.as_deref(), 200).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.0.clone());
            for (key, _, value) in page {
                if time_of(&key).is_some_and(|at| at > nanos(until.saturating_add(LONGEST_CALL))) {
                    return Ok(());
                }
                for record in decode(&key, value)?.records {
                    let began = record.start_unix_nanos.div_euclid(1_000_000_000);
                    if (from..until).contains(&began) {
                        count += 1;
                        add_record(question, step(question.step, began), &record, answer);
                    }
                }
                if count > MOST_RECORDS {
                    return Err(QueryError::TooMany);
                }
            }
        }
    }
}

/// The smallest section that tells apart what is asked for and has blocks of that length.
fn section(question: &Question, level: Level) -> Option<Section> {
    let uses = || question.only.iter().map(|only| &only.by).chain(&question.by);
    let mut kinds: Vec<&By> = uses().filter(|by| by.extra().is_some()).collect();
    kinds.sort();
    kinds.dedup();
    let tags = uses().filter(|by| **by == By::Tag).count();
    let extra = match kinds.as_slice() {
        [] => None,
        // A call can have many tags: those of one tag told apart by their others are in no block.
        [By::Tag] if tags > 1 => return None,
        [one] => one.extra(),
        _ => return None,
    };
    let tells = |section: Section| uses().all(|by| if let By::Facet(facet) = by { section.keeps(*facet) } else { true });
    Section::ALL.into_iter().find(|section| section.extra() == extra && section.finest() <= level && tells(*section))
}

/// Beginning of the step that a time lies in.
fn step(step: Step, at: i64) -> i64 {
    match step {
        Step::Whole => 0,
        Step::Minute => at.div_euclid(MINUTE) * MINUTE,
        Step::Hour => at.div_euclid(HOUR) * HOUR,
        Step::Day => at.div_euclid(DAY) * DAY,
        Step::Month => month(at.div_euclid(DAY)).1 * DAY,
    }
}

/// Which blocks cover a time: the longest that are closed and lie in it whole.
fn pieces(from: i64, until: i64, step: Step, hours_closed: i64, days_closed: i64) -> Vec<(Level, i64, i64)> {
    let mut found = Vec::new();
    let days = !matches!(step, Step::Minute | Step::Hour);
    let hours = step != Step::Minute;
    let mut cut = |from: i64, until: i64| {
        let (first, after) = ((from + HOUR - 1).div_euclid(HOUR), until.div_euclid(HOUR).min(hours_closed));
        if hours && first < after {
            found.push((Level::Minute, from / MINUTE, first * HOUR / MINUTE));
            found.push((Level::Hour, first, after));
            found.push((Level::Minute, after * HOUR / MINUTE, until / MINUTE));
        } else {
            found.push((Level::Minute, from / MINUTE, until / MINUTE));
        }
    };
    let (first, after) = ((from + DAY - 1).div_euclid(DAY), until.div_euclid(DAY).min(days_closed));
    if days && first < after {
        cut(from, first * DAY);
        cut(after * DAY, until);
        found.push((Level::Day, first, after));
    } else {
        cut(from, until);
    }
    found.retain(|(_, first, after)| first < after);
    found
}

/// Whether a value of a facet is the one asked for.
fn fits(by: &By, wanted: &str, value: &str) -> bool {
    match by {
        By::Facet(Facet::Groups) => value.split('/').any(|group| group == wanted),
        By::Metadata(name) => value.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('=')) == Some(wanted),
        By::Facet(_) | By::Tag | By::User => value == wanted,
    }
}

/// What a row shows of a value; `None`: the cell is about something else.
fn shown<'a>(by: &By, value: &'a str) -> Option<&'a str> {
    match by {
        By::Facet(Facet::Groups) => value.split('/').next(),
        By::Metadata(name) => value.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('=')),
        By::Facet(_) | By::Tag | By::User => Some(value),
    }
}

fn slot(by: &By) -> usize {
    match by {
        By::Facet(facet) => Facet::ALL.iter().position(|f| f == facet).unwrap_or(FACETS),
        By::Tag | By::User | By::Metadata(_) => FACETS,
    }
}

/// Adds the cells of a kept block. Texts are compared once per block, not per cell.
fn add_kept(question: &Question, start: i64, block: &Kept<'_>, answer: &mut Answer) -> Result<(), StoreError> {
    let only: Vec<(usize, Vec<bool>)> =
        question.only.iter().map(|only| (slot(&only.by), block.texts.iter().map(|text| fits(&only.by, &only.value, text)).collect())).collect();
    let by: Vec<(usize, &By)> = question.by.iter().map(|by| (slot(by), by)).collect();
    let mut places: HashMap<Vec<i32>, Option<usize>> = HashMap::default();
    let mut group = Vec::with_capacity(by.len());
    block.each(|cell| {
        let at = |slot: usize| if slot == FACETS { cell.extra } else { cell.facets.get(slot).copied().unwrap_or(0) };
        let place = |slot: usize| usize::try_from(at(slot)).unwrap_or(usize::MAX);
        if !only.iter().all(|(slot, fits)| fits.get(place(*slot)).copied().unwrap_or(false)) {
            return;
        }
        group.clear();
        group.extend(by.iter().map(|(slot, _)| at(*slot)));
        let row = if let Some(row) = places.get(&group) {
            *row
        } else {
            let text = |at: &i32| usize::try_from(*at).ok().and_then(|at| block.texts.get(at)).copied().unwrap_or_default();
            let values: Option<Vec<String>> = group.iter().zip(&by).map(|(at, (_, by))| shown(by, text(at)).map(str::to_owned)).collect();
            let row = values.map(|values| answer.place(start, values));
            places.insert(group.clone(), row);
            row
        };
        if let Some(sums) = row.and_then(|row| answer.rows.get_mut(row)) {
            sums.merge_cell(cell, question.percentiles);
        }
    })
}

fn add_block(question: &Question, start: i64, block: &Block, answer: &mut Answer) {
    block.each(|facets, extra, sums| {
        let value = |by: &By| if slot(by) == FACETS { extra } else { facets.get(slot(by)).copied().unwrap_or("") };
        if question.only.iter().all(|only| fits(&only.by, &only.value, value(&only.by)))
            && let Some(values) = question.by.iter().map(|by| shown(by, value(by)).map(str::to_owned)).collect::<Option<Vec<_>>>()
            && let Some(row) = answer.row(start, values)
        {
            row.merge(sums);
        }
    });
}

/// Adds a record, for each combination of values it has of what is asked for.
fn add_record(question: &Question, start: i64, record: &RequestRecord, answer: &mut Answer) {
    let has = |by: &By, wanted: &str| match by.extra() {
        Some(kind) => extras(record, kind).iter().any(|value| fits(by, wanted, value)),
        None => true,
    };
    if !question.only.iter().all(|only| has(&only.by, &only.value)) {
        return;
    }
    for (facets, sums) in rows(record) {
        let facet = |by: &By| facets.get(slot(by)).map_or("", String::as_str);
        if !question.only.iter().all(|only| only.by.extra().is_some() || fits(&only.by, &only.value, facet(&only.by))) {
            continue;
        }
        let mut groups: Vec<Vec<String>> = vec![Vec::new()];
        for by in &question.by {
            let values: Vec<String> = match by.extra() {
                Some(kind) => extras(record, kind).iter().filter_map(|value| shown(by, value)).map(str::to_owned).collect(),
                None => shown(by, facet(by)).map(str::to_owned).into_iter().collect(),
            };
            groups = groups.iter().flat_map(|group| values.iter().map(|value| [group.as_slice(), std::slice::from_ref(value)].concat())).collect();
        }
        for group in groups {
            if let Some(row) = answer.row(start, group) {
                row.merge(&sums);
            }
        }
    }
}

/// For tests: puts a question to records, one by one.
#[cfg(test)]
pub(super) fn of_records(question: &Question, records: &[RequestRecord]) -> Vec<Row> {
    let mut answer = Answer::default();
    for record in records {
        add_record(question, step(question.step, record.start_unix_nanos.div_euclid(1_000_000_000)), record, &mut answer);
    }
    answer.sorted()
}
