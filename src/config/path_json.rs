//! Paths in our records: as text where they are UTF-8, else as their bytes. A file name on Linux may
//! be any bytes (a GBK one, say), and serde's own way refuses those. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Text(String),
    Bytes(Vec<u8>),
}

fn written(path: &Path) -> Written<'_> {
    path.to_str().map_or_else(|| Written::Bytes(path.as_os_str().as_bytes()), Written::Text)
}

fn read(read: Read) -> PathBuf {
    match read {
        Read::Text(text) => text.into(),
        Read::Bytes(bytes) => OsString::from_vec(bytes).into(),
    }
}

/// For `#[serde(with = …)]` on a path.
///
/// # Errors
/// The serializer's.
pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    written(path).serialize(to)
}

/// For `#[serde(with = …)]` on a path.
///
/// # Errors
/// When it is neither text nor bytes.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    Read::deserialize(from).map(read)
}

/// The same for a path that may be missing.
pub mod option {
    use super::{Deserialize, Deserializer, PathBuf, Read, Serialize, Serializer, read, written};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(written).serialize(to)
    }

    /// # Errors
    /// When it is neither text nor bytes nor null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Read>::deserialize(from)?.map(read))
    }
}

/// The same for several.
pub mod list {
    use super::{Deserialize, Deserializer, PathBuf, Read, Serializer, read, written};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.iter().map(|path| written(path)))
    }

    /// # Errors
    /// When one is neither text nor bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(Vec::<Read>::deserialize(from)?.into_iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        #[serde(with = "super")]
        one: PathBuf,
        #[serde(with = "super::option")]
        other: Option<PathBuf>,
        #[serde(default, with = "super::list")]
        more: Vec<PathBuf>,
    }

    /// Catches a name that can't be written, or that comes back as another one; and an old record,
    /// whose paths are text, that can't be read.
    #[test]
    fn any_name_comes_back() {
        let odd = PathBuf::from(OsString::from_vec(b"/home/\xce\xd2".to_vec()));
        assert!(odd.to_str().is_none());
        for paths in [
            Paths { one: odd.clone(), other: Some(odd.clone()), more: vec![odd, "a".into()] },
            Paths { one: "/家/log".into(), other: None, more: vec![] },
        ] {
            let json = serde_json::to_string(&paths).unwrap();
            assert_eq!(
                json.contains(r#""/家/log""#),
                paths.one.to_str().is_some(),
                "text stays text: {json}"
            );
            assert_eq!(serde_json::from_str::<Paths>(&json).unwrap(), paths, "{json}");
        }
        let old = serde_json::from_str::<Paths>(r#"{"one": "/run/log", "other": "/a"}"#).unwrap();
        assert_eq!((old.one, old.other), ("/run/log".into(), Some("/a".into())));
    }
}
