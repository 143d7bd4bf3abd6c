//! What can be seen without a network: settings and where they come from, permissions, the state folder,
//! the outbox. Nothing is made or changed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::checkup::{Config, Finding, NamedBy, Outbox, PassedOver, Setting, State, place_of};
use super::values;
use crate::commands::common::{Context, text_of};
use crate::config::{Loaded, merge};
use crate::outbox::entry::Folder;
use crate::outbox::store::{Place, Store};
use crate::sys::paths;

/// The settings as they were loaded.
pub fn config(context: &Context, loaded: &Loaded) -> Config {
    let named_by = match context.explicit() {
        Some(_) => NamedBy::Flag,
        None if std::env::var_os("NOTIFY_DONE_CONFIG").is_some_and(|v| !v.is_empty()) => NamedBy::Variable,
        None => NamedBy::Nobody,
    };
    let (env, _) = merge::env_overrides(&|name| std::env::var_os(name));
    let provenance = loaded.provenance.clone().with_env(&env);
    let settings = provenance.all().map(|(key, source)| Setting {
        key: key.to_owned(),
        value: values::value(&loaded.settings, key),
        place: place_of(source),
    });
    let expected = loaded.expected_path.as_deref();
    Config {
        path: loaded.path.as_deref().map(shown),
        expected: expected.map(shown),
        named_by,
        mode: expected.and_then(mode),
        folder_mode: expected.and_then(Path::parent).and_then(mode),
        settings: settings.collect(),
        findings: loaded.diagnostics.iter().chain(&context.diagnostics).map(Finding::from).collect(),
    }
}

/// Where runs and notices are kept, or would be.
pub fn state() -> State {
    let (found, exists) = paths::look_for_state_root();
    State {
        folder: found.root.as_deref().map(shown),
        exists,
        mode: found.root.as_deref().and_then(mode),
        passed_over: found
            .passed_over
            .map(|(folder, why)| PassedOver { folder: shown(&folder), why: why.to_string() }),
    }
}

/// The outboxes that there are.
pub fn stores() -> Vec<Store> {
    let roots = paths::existing_state_roots().into_iter();
    roots.filter_map(|root| Store::existing(root.join("outbox"))).collect()
}

/// How much is kept in them.
pub fn outbox(stores: &[Store]) -> Outbox {
    let mut outbox = Outbox::default();
    for store in stores {
        for (place, count) in [
            (Place::In(Folder::New), &mut outbox.waiting),
            (Place::In(Folder::Held), &mut outbox.held),
            (Place::In(Folder::Failed), &mut outbox.failed),
        ] {
            match store.ids_at(place) {
                Ok(ids) => *count += ids.len(),
                Err(error) => {
                    outbox.error.get_or_insert(error.to_string());
                }
            }
        }
        outbox.waiting += store.sending().map_or(0, |ids| ids.len());
    }
    outbox
}

fn shown(path: &Path) -> String {
    text_of(path.as_os_str())
}

/// Permissions in octal; None: it isn't there, or can't be looked at.
fn mode(path: &Path) -> Option<String> {
    let meta = path.metadata().ok()?;
    Some(format!("{:04o}", meta.permissions().mode() & 0o7777))
}
