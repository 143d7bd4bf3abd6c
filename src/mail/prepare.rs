//! Makes the attachments ready, before the bodies are written: those say what is attached, in which size.
//!
//! What goes as it is stays where it lies, and is read when the mail is composed. What is packed, or changed
//! by a [`Filter`], becomes a file in a folder of the mail's own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files::Found;
use super::ladder::{self, Effort, Policy, Room, Shape, Way};
use super::limits::{self, Attachment, Media, Piece};
use super::names::{self, Names};
use super::pack::{Filter, Job, Packed, Part, pack};
use super::pieces::{Ending, bytes_of, line_ends};
use crate::config::Attach;
use crate::error::{Error, Result};
use crate::mail::compose::{Short, unwritable};
use crate::report::model::{Carried, FileFate, FileNote, LeftOut, LogNote, Packed as PackedFile, WhyPacked};
use crate::run::facts::{Holds, LogPart};
use crate::sys::fs::private_dir;

/// A line's end is looked for so far from where the log is cut, bytes.
const LINE_SEARCH: u64 = 64 * 1024;

/// A file of the user's that is larger isn't packed to see whether it fits then, bytes.
const FILE_WHOLE_MOST: u64 = 1 << 30;

/// What is to be attached.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "a filter has nothing to show")]
pub struct Wishes<'a> {
    pub parts: &'a [LogPart],
    pub files: &'a [Found],
    pub policy: &'a Policy,
    /// What the log's bytes pass. None: they go as they are.
    pub filter: Option<&'a dyn Filter>,
    /// Where packed files are put; made when there are any. Its maker removes it when the mail is composed.
    pub folder: &'a Path,
}

/// What will be attached.
#[derive(Debug, Default)]
pub struct Prepared {
    pub attachments: Vec<Attachment>,
    /// One for each part, in order.
    pub logs: Vec<LogNote>,
    pub files: Vec<FileNote>,
    /// Parts that turned out to hold less than they should.
    pub short: Vec<Short>,
    /// Places that the filter changed.
    pub places: u64,
}

/// Decides what of each is attached, and packs what is to be packed. First come the last lines of the log,
/// then the user's files, then the log's ends; where several parts don't fit, they share what there is:
/// small ones go whole, the large ones get equal shares of what is left.
///
/// # Errors
/// [`crate::error::Kind::Storage`] when a packed file can't be written.
pub fn prepare(wishes: &Wishes<'_>) -> Result<Prepared> {
    let mut desk = Desk { wishes, made: Prepared::default(), count: 0 };
    desk.work().map_err(|error| unwritable(&error))?;
    Ok(desk.made)
}

struct Desk<'a> {
    wishes: &'a Wishes<'a>,
    made: Prepared,
    /// Files made so far.
    count: u32,
}

/// An attachment that has no name yet.
struct Ready {
    media: Media,
    path: PathBuf,
    pieces: Vec<Piece>,
    packed: Option<u64>,
    bytes: u64,
}

impl Desk<'_> {
    fn work(&mut self) -> io::Result<()> {
        let Wishes { parts, files, policy, .. } = *self.wishes;
        let wanted: Vec<u64> = parts.iter().map(|part| ladder::wanted(part, policy)).collect();
        let carriers = wanted.iter().filter(|bytes| **bytes > 0).count() + files.len();
        let mut room = limits::room(policy.max_message, carriers as u64);
        let last_lines: u64 = wanted.iter().map(|bytes| *bytes.min(&policy.tail_bytes)).sum();

        let mut chosen = Vec::new();
        let mut for_files = room.saturating_sub(last_lines.min(policy.max_attachment.unwrap_or(u64::MAX)));
        for file in files {
            let fate = self.file(file, for_files)?;
            let bytes = fate.as_ref().map_or(0, |(ready, _)| ready.bytes);
            (room, for_files) = (room.saturating_sub(bytes), for_files.saturating_sub(bytes));
            chosen.push(fate);
        }

        let mut smallest_first: Vec<usize> = (0..parts.len()).collect();
        smallest_first.sort_by_key(|&i| wanted[i]);
        let mut raw = policy.max_attachment.unwrap_or(u64::MAX);
        let mut carried: Vec<(Carried, Option<Ready>)> = Vec::new();
        carried.resize_with(parts.len(), || (Carried::Nothing, None));
        for (done, &i) in smallest_first.iter().enumerate() {
            let share = (parts.len() - done) as u64;
            let fair = Room { attached: room / share, raw: raw / share };
            let (how, ready) = self.log(&parts[i], fair)?;
            room = room.saturating_sub(ready.as_ref().map_or(0, |ready| ready.bytes));
            raw = raw.saturating_sub(ladder::counted(&parts[i], how));
            carried[i] = (how, ready);
        }
        let mut names = Names::default();
        for (part, (how, ready)) in parts.iter().zip(carried) {
            self.note_log(part, how, ready, &mut names);
        }
        for (file, fate) in files.iter().zip(chosen) {
            self.note_file(file, fate, &mut names);
        }
        Ok(())
    }

    fn note_log(&mut self, part: &LogPart, carried: Carried, ready: Option<Ready>, names: &mut Names) {
        let mut note = LogNote {
            attachment: None,
            holds: part.holds,
            path: part.path.display().to_string(),
            bytes: part.len(),
            carried,
            packed: ready.as_ref().and_then(|ready| ready.packed),
            trouble: part.trouble,
        };
        if let Some(Ready { media, path, pieces, packed, .. }) = ready {
            let ending = if packed.is_some() { "zip" } else { "txt" };
            let name = names.next(&format!("{}.{ending}", stem(part.holds)));
            note.attachment = Some(name.clone());
            self.made.attachments.push(Attachment { name, media, path, pieces });
        }
        self.made.logs.push(note);
    }

    fn note_file(
        &mut self,
        file: &Found,
        fate: std::result::Result<(Ready, Option<WhyPacked>), LeftOut>,
        names: &mut Names,
    ) {
        let note = |name: String, fate| FileNote {
            name,
            path: file.path.display().to_string(),
            bytes: file.size.as_ref().ok().copied(),
            fate,
        };
        let note = match fate {
            Ok((Ready { media, path, pieces, packed, .. }, why)) => {
                let own = self.name_of(file);
                let name = names.next(&if packed.is_some() { format!("{own}.zip") } else { own });
                self.made.attachments.push(Attachment { name: name.clone(), media, path, pieces });
                let packed = packed.zip(why).map(|(bytes, why)| PackedFile { bytes, why });
                note(name, FileFate::Attached { packed })
            }
            Err(why) => note(file.typed.clone(), FileFate::LeftOut(why)),
        };
        self.made.files.push(note);
    }

    fn name_of(&self, file: &Found) -> String {
        let name = names::of_file(&file.path);
        match self.wishes.filter {
            Some(filter) => filter.name(&name),
            None => name,
        }
    }

    /// A file of the user's: whole, or not at all.
    fn file(
        &mut self,
        file: &Found,
        room: u64,
    ) -> io::Result<std::result::Result<(Ready, Option<WhyPacked>), LeftOut>> {
        let bytes = match &file.size {
            Ok(bytes) => *bytes,
            Err(why) => return Ok(Err(why.clone())),
        };
        let name = names::of_file(&file.path);
        let pieces = vec![Piece::Bytes(0..bytes)];
        let refused = names::is_refused(&name);
        if !refused && bytes <= room {
            let media = names::media(&name);
            return Ok(Ok((Ready { media, path: file.path.clone(), pieces, packed: None, bytes }, None)));
        }
        if bytes > FILE_WHOLE_MOST {
            return Ok(Err(LeftOut::TooLarge));
        }
        let shape = Shape::Zip(Effort::for_bytes(bytes));
        let shown = self.name_of(file);
        let (path, inner) = (file.path.as_path(), shown.as_str());
        let ending = Ending::Silent;
        match self.pack(&Source { path, pieces: &pieces, ending, filter: None, inner }, shape, room)? {
            Packed::Fits(part) if part.missing > 0 => Ok(Err(LeftOut::Changed)),
            Packed::Fits(part) => {
                let why = if refused { WhyPacked::Name } else { WhyPacked::Size };
                Ok(Ok((self.made_file(Media::Named("application/zip"), part.bytes), Some(why))))
            }
            Packed::TooLarge { .. } => Ok(Err(LeftOut::TooLarge)),
        }
    }

    /// A part of the log, as well as it goes.
    fn log(&mut self, part: &LogPart, room: Room) -> io::Result<(Carried, Option<Ready>)> {
        let Wishes { policy, filter, .. } = *self.wishes;
        let mut way = ladder::best(part, policy, room);
        loop {
            if matches!(way.carried, Carried::Nothing | Carried::Empty) {
                return Ok((way.carried, None));
            }
            way.carried = if_cut_at_lines(part, policy.attach, way.carried);
            if let Some(filter) = filter {
                way.carried = cut_beside(part, way.carried, filter);
            }
            let pieces = ladder::pieces(part, way.carried);
            if way.shape == Shape::Plain && filter.is_none() {
                let bytes = ladder::plain_len(&pieces);
                let path = part.path.clone();
                return Ok((
                    way.carried,
                    Some(Ready { media: Media::Log, path, pieces, packed: None, bytes }),
                ));
            }
            let inner = format!("{}.txt", stem(part.holds));
            let (path, ending) = (part.path.as_path(), Ending::Told);
            let source = Source { path, pieces: &pieces, ending, filter, inner: &inner };
            match self.pack(&source, way.shape, room.attached)? {
                Packed::Fits(made) => return Ok((way.carried, Some(self.made_log(part, way, made)))),
                Packed::TooLarge { read } => way = ladder::lesser(part, policy, room, (way, read)),
            }
        }
    }

    fn made_log(&mut self, part: &LogPart, way: Way, made: Part) -> Ready {
        if made.missing > 0 {
            self.made.short.push(Short {
                name: stem(part.holds).to_owned(),
                path: part.path.clone(),
                missing: made.missing,
                cause: made.cause.map(|e| e.to_string()),
            });
        }
        self.made.places += made.places;
        match way.shape {
            Shape::Plain => Ready { packed: None, ..self.made_file(Media::Log, made.bytes) },
            Shape::Zip(_) => self.made_file(Media::Named("application/zip"), made.bytes),
        }
    }

    /// The file that was made last.
    fn made_file(&self, media: Media, bytes: u64) -> Ready {
        let pieces = vec![Piece::Bytes(0..bytes)];
        Ready { media, path: self.place(), pieces, packed: Some(bytes), bytes }
    }

    fn place(&self) -> PathBuf {
        self.wishes.folder.join(self.count.to_string())
    }

    fn pack(&mut self, source: &Source<'_>, shape: Shape, most: u64) -> io::Result<Packed> {
        private_dir(self.wishes.folder)?;
        self.count += 1;
        let to = self.place();
        let Source { path, pieces, ending, filter, inner } = *source;
        let packed = pack(&Job { path, pieces, ending, filter, shape, inner, to: &to, most })?;
        if let Packed::TooLarge { .. } = packed {
            fs::remove_file(&to)?;
        }
        Ok(packed)
    }
}

/// What is to be packed.
#[derive(Clone, Copy)]
struct Source<'a> {
    path: &'a Path,
    pieces: &'a [Piece],
    ending: Ending,
    filter: Option<&'a dyn Filter>,
    inner: &'a str,
}

/// Both ends, cut at lines where these are short enough. A file that can't be read is told of later.
fn if_cut_at_lines(part: &LogPart, attach: Attach, carried: Carried) -> Carried {
    let Carried::Ends { head, tail, .. } = carried else { return carried };
    let around = |at: u64| {
        let within = at.saturating_sub(LINE_SEARCH).max(part.start)..(at + LINE_SEARCH).min(part.end);
        line_ends(&part.path, at, within).unwrap_or_default()
    };
    let hole = part.cut.clone().unwrap_or(part.end..part.start);
    let (head_end, tail_start) = (part.start + head, part.end - tail);
    // What the disk doesn't have is a border that nobody chose.
    let head_back = if attach == Attach::Tail || head_end == hole.start { None } else { around(head_end).0 };
    // The line that ends just before it is whole.
    let tail_on = match tail_start == hole.end {
        true => None,
        false => match around(tail_start) {
            (Some(0), _) => Some(0),
            (_, on) => on,
        },
    };
    ladder::at_line_ends(carried, head_back.unwrap_or(0), tail_on.unwrap_or(0))
}

/// Both ends, each cut beside what the filter wouldn't know a half of. A file that can't be read is told of
/// later.
fn cut_beside(part: &LogPart, carried: Carried, filter: &dyn Filter) -> Carried {
    let Carried::Ends { head, tail, omitted } = carried else { return carried };
    let hole = part.cut.clone().unwrap_or(part.end..part.start);
    let around = |at: u64, (from, to): (u64, u64)| {
        let within = at.saturating_sub(LINE_SEARCH).max(from)..(at + LINE_SEARCH).min(to);
        let before = usize::try_from(at - within.start).unwrap_or(0);
        let cut = match bytes_of(&part.path, &within) {
            Ok(bytes) if bytes.len() >= before => filter.cut_around(&bytes, before),
            _ => before..before,
        };
        within.start + cut.start as u64..within.start + cut.end as u64
    };
    let (head_end, tail_start) = (part.start + head, part.end - tail);
    let new_head = match head {
        0 => 0,
        _ => around(head_end, (part.start, hole.start)).start - part.start,
    };
    let new_tail = part.end - around(tail_start, (hole.end, part.end)).end;
    match new_head + new_tail {
        0 => Carried::Nothing,
        kept => Carried::Ends { head: new_head, tail: new_tail, omitted: head + tail + omitted - kept },
    }
}

fn stem(holds: Holds) -> &'static str {
    match holds {
        Holds::Both => "log",
        Holds::Stdout => "stdout",
        Holds::Stderr => "stderr",
    }
}

/// Says of an error what it says of the mail's own file.
pub fn trouble(error: &io::Error) -> Error {
    unwritable(error)
}

#[cfg(test)]
mod tests;
