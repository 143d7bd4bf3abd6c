//! Writes the bytes of an attachment into a file of their own: packed, or changed by what they pass.
//!
//! A .zip is written so that whatever a reader has opens it: deflate, one file, its sizes in front of it (the
//! file can be sought in), zip64 only where it must be.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::ladder::{Effort, Shape};
use super::limits::Piece;
use super::pieces::{Ending, PieceReader};
use crate::sys::fs::create_private;

/// Memory for what is read at once.
const BLOCK: usize = 64 * 1024;

/// What a log's bytes pass on their way into an attachment: all of those that are attached, in order. What is
/// left out isn't among them, but it has a say in where the log is cut.
pub trait Filter {
    /// Copies `from` to `to`, changed; gives the number of places that were.
    ///
    /// # Errors
    /// Those of either.
    fn pass(&self, from: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<u64>;

    /// Where a log is cut, if not at `at`: its head may end at the range's start, its tail begin at its end.
    fn cut_around(&self, text: &[u8], at: usize) -> Range<usize>;

    /// What a file of the user's is called in the mail; its bytes are the user's own choice.
    fn name(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// What is to be written, and where.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub path: &'a Path,
    pub pieces: &'a [Piece],
    pub ending: Ending,
    pub filter: Option<&'a dyn Filter>,
    pub shape: Shape,
    /// The file's name in a .zip.
    pub inner: &'a str,
    /// The file to write, which may be there.
    pub to: &'a Path,
    /// It may have so many bytes.
    pub most: u64,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Packed {
    Fits(Part),
    /// It came to more; so many bytes had been read by then.
    TooLarge {
        read: u64,
    },
}

#[derive(Debug)]
pub(super) struct Part {
    /// Bytes written.
    pub bytes: u64,
    /// Bytes of the source that could not be had, and why.
    pub missing: u64,
    pub cause: Option<io::Error>,
    /// Places that the filter changed.
    pub places: u64,
}

/// Writes it in constant memory; stops where it comes to more than there is room for.
///
/// # Errors
/// When the file can't be written.
pub(super) fn pack(job: &Job<'_>) -> io::Result<Packed> {
    let file = create_private(job.to)?;
    let trouble = RefCell::new(None);
    let out = Bounded { file: &file, at: 0, end: 0, most: job.most, trouble: &trouble };
    let mut source =
        Stoppable { inner: PieceReader::open(job.path, job.pieces, job.ending), trouble: &trouble };
    let written = match job.shape {
        Shape::Plain => {
            let mut out = io::BufWriter::with_capacity(BLOCK, out);
            let places = copy(&mut source, &mut out, job.filter);
            places.and_then(|places| {
                Ok((places, out.into_inner().map_err(io::IntoInnerError::into_error)?.end))
            })
        }
        Shape::Zip(effort) => zip(&mut source, out, job, effort),
    };
    if let Some(trouble) = trouble.take() {
        return match trouble {
            Trouble::Full => Ok(Packed::TooLarge { read: source.inner.read }),
            Trouble::Failed(error) => Err(error),
        };
    }
    let (places, bytes) = written?;
    let PieceReader { missing, cause, .. } = source.inner;
    Ok(Packed::Fits(Part { bytes, missing, cause, places }))
}

fn copy(from: &mut impl Read, to: &mut impl Write, filter: Option<&dyn Filter>) -> io::Result<u64> {
    let mut from = BufReader::with_capacity(BLOCK, from);
    if let Some(filter) = filter {
        return filter.pass(&mut from, to);
    }
    loop {
        let block = match from.fill_buf() {
            Ok([]) => return Ok(0),
            Ok(block) => block,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        to.write_all(block)?;
        let n = block.len();
        from.consume(n);
    }
}

/// Gives the places that were changed, and the size of the archive.
fn zip(from: &mut impl Read, out: Bounded<'_>, job: &Job<'_>, effort: Effort) -> io::Result<(u64, u64)> {
    let raw: u64 = super::ladder::plain_len(job.pieces);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(match effort {
            Effort::Fast => 2,
            Effort::Thorough => 6,
        }))
        .last_modified_time(modified(job.path))
        .unix_permissions(0o644)
        // With a margin for what a filter adds. Old unpackers know no zip64.
        .large_file(raw > u64::from(u32::MAX) / 4 * 3);
    let mut zip = ZipWriter::new(out);
    zip.start_file(job.inner, options)?;
    let places = copy(from, &mut zip, job.filter)?;
    Ok((places, zip.finish()?.end))
}

/// When the file was written last, by the clock on the wall here: a .zip knows no time zones.
fn modified(path: &Path) -> DateTime {
    let time = std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let here = time.and_then(|time| Timestamp::try_from(time).ok()).map(|at| at.to_zoned(TimeZone::system()));
    here.and_then(|at| {
        let part = |n: i8| u8::try_from(n).ok();
        let (year, month, day) = (u16::try_from(at.year()).ok()?, part(at.month())?, part(at.day())?);
        DateTime::from_date_and_time(
            year,
            month,
            day,
            part(at.hour())?,
            part(at.minute())?,
            part(at.second())?,
        )
        .ok()
    })
    .unwrap_or_default()
}

enum Trouble {
    /// There is more than may be.
    Full,
    Failed(io::Error),
}

/// A file of at most so many bytes. What doesn't fit, or fails, is noted and swallowed: the archiver above
/// would else have its say on stderr when it is dropped.
struct Bounded<'a> {
    file: &'a File,
    at: u64,
    /// Bytes of the file.
    end: u64,
    most: u64,
    trouble: &'a RefCell<Option<Trouble>>,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.trouble.borrow().is_none() {
            let failed = if self.at + bytes.len() as u64 > self.most {
                Some(Trouble::Full)
            } else {
                self.file.write_all(bytes).err().map(Trouble::Failed)
            };
            *self.trouble.borrow_mut() = failed;
        }
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.at = at.ok_or(ErrorKind::InvalidInput)?;
        if self.trouble.borrow().is_none()
            && let Err(error) = self.file.seek(SeekFrom::Start(self.at))
        {
            *self.trouble.borrow_mut() = Some(Trouble::Failed(error));
        }
        Ok(self.at)
    }
}

/// Ends when the output is in trouble: nobody needs the rest.
struct Stoppable<'a> {
    inner: PieceReader,
    trouble: &'a RefCell<Option<Trouble>>,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.trouble.borrow().is_some() { Ok(0) } else { self.inner.read(buffer) }
    }
}

#[cfg(test)]
mod tests;
