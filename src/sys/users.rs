//! Who else is in a group, as the files of this machine tell: no directory service is asked, which
//! could keep a command waiting.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;

/// The user files of large sites are smaller, bytes.
const LARGEST: u64 = 4 << 20;

/// Is nobody but the owner in the file's group? So it is where each user has a group of the same
/// name, and an umask of 002 lets that group write everything.
pub fn has_private_group(meta: &Metadata) -> bool {
    is_private(&read("/etc/passwd"), &read("/etc/group"), meta.uid(), meta.gid())
}

fn read(path: &str) -> String {
    let mut text = Vec::new();
    // Where there is none, nothing is known.
    super::best_effort(File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut text)));
    String::from_utf8_lossy(&text).into_owned()
}

/// passwd(5): name, password, uid, gid …; group(5): name, password, gid, members.
fn is_private(passwd: &str, groups: &str, owner: u32, group: u32) -> bool {
    let number = |line: &str, at: usize| line.split(':').nth(at).and_then(|field| field.parse::<u32>().ok());
    let is_owner = |user: &&str| number(user, 2) == Some(owner);
    let mut with_it = passwd.lines().filter(|user| number(user, 3) == Some(group));
    let (has_it, others_have_it) =
        (with_it.clone().any(|user| is_owner(&user)), with_it.any(|user| !is_owner(&user)));
    let lines: Vec<&str> = groups.lines().filter(|line| number(line, 2) == Some(group)).collect();
    if lines.is_empty() {
        // Known to a directory service, if at all; there too a user's own group has the user's number.
        return owner == group && !others_have_it;
    }
    let names: Vec<&str> =
        passwd.lines().filter(is_owner).filter_map(|user| user.split(':').next()).collect();
    let members = lines.iter().filter_map(|line| line.split(':').nth(3)).flat_map(|list| list.split(','));
    let mut strangers = members.map(str::trim).filter(|name| !name.is_empty() && !names.contains(name));
    has_it && !others_have_it && strangers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nanna:x:1000:1000::/home/anna:/bin/sh\n\
        ben:x:1001:100::/home/ben:/bin/sh\ncleo:x:1002:100::/home/cleo:/bin/sh\n\
        dora:x:1003:1003::/home/dora:/bin/sh\nbroken\nalso:x:broken\n";
    const GROUP: &str = "root:x:0:\nanna:x:1000:\nusers:x:100:\ndora:x:1003:anna\nlab:x:2000:anna,ben\n\
        eve:x:1004: \nbroken\n";

    /// Catches: a group of many that is taken for one's own, and one's own that is taken for one of many.
    #[test]
    fn ones_own_group_is_told_from_a_group_of_many() {
        let private = |owner, group| is_private(PASSWD, GROUP, owner, group);
        assert!(private(1000, 1000), "anna alone");
        assert!(private(0, 0), "root alone");
        assert!(!private(1001, 100), "a group that two users have");
        assert!(!private(1003, 1003), "somebody was let in");
        assert!(!private(1000, 2000), "a group for working together");
        assert!(!private(1000, 1003), "the group of someone else");
        assert!(!private(1004, 1004), "no user of this machine, though the group is");
        // A directory service has the rest.
        assert!(private(50_001, 50_001) && !private(50_001, 50_002));
        assert!(is_private("", "", 1000, 1000) && !is_private("", "", 1000, 100));
        assert!(!is_private(PASSWD, "", 100, 100), "others have it");
    }
}
