//! Whose event is it? For notifications of OpenStack's services: the project in the payload.
//!
//! An event goes to the project that owns what it is about. Services have no common place for it,
//! so a table says where each looks. The first place that holds a name decides. Where there is
//! such a place and nothing is in it, the event is nobody's: a service said so.
//!
//! Who *asked* for it is another question, answered by the request's context, and mostly not ours:
//! a server's port is changed by Nova in the name of its own project. The context stands in for
//! one case only, Neutron's notifications before the fact (`network.create.start`), which hold
//! what was asked and no more. Elsewhere a payload that names nobody (a hypervisor, a traceback)
//! is the operator's business and not that of whoever caused it.
//!
//! Identity events, audit records and Swift's tell who asked within the payload, as `initiator`.
//! One without a project is nobody's: a login that failed, a request without a token. Names are
//! Keystone's ids, 32 hexadecimal digits, and these are valid as a project's name.

use model::Project;
use serde_json::value::RawValue;

use super::{Malformed, members};
use crate::json::NotJson;

/// Whose an event is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The message does not say: it belongs to the project of the source that it came through.
    Source,
    /// The message says.
    Named(Project),
    /// The message says that it is no project's. It goes to nobody, the source's project included.
    Nobody,
}

/// What tells whose a notification is.
pub(super) struct Notification<'a> {
    pub(super) kind: &'a str,
    pub(super) publisher: &'a str,
    pub(super) payload: &'a str,
    /// The project of the request's context.
    pub(super) asked_by: Option<&'a str>,
}

type Path = &'static [&'static str];

/// Who asked, in records as CADF (the DMTF's format for audits) has them.
const INITIATOR: Path = &["initiator", "project_id"];

/// Compute, volumes, stacks and whatever has followed their custom; Nova's versioned objects; what
/// Nova's scheduler and conductor say of a server that is not there yet.
const RESOURCES: &[Path] = &[
    &["tenant_id"],
    &["project_id"],
    &["nova_object.data", "tenant_id"],
    &["nova_object.data", "project_id"],
    &["nova_object.data", "request_spec", "nova_object.data", "project_id"],
    &["request_spec", "instance_properties", "project_id"],
    &["instance_properties", "project_id"],
];

/// Where to look, by how the event's type starts. `image.send` has no `owner`: it tells who read
/// an image, which is not for the owner of a public one to know.
fn places(kind: &str, payload: &str) -> Result<&'static [Path], NotJson> {
    let service = |prefix: &str| kind.starts_with(prefix);
    // The basic form of an identity event is an id and nothing else. Where it is a project's, the
    // project may hear of itself; an audit record would tell it about its administrator, too.
    let basic = |payload| Ok::<_, NotJson>(members::follow(payload, &["initiator"])?.is_none());
    Ok(if service("identity.project.") && basic(payload)? {
        &[&["resource_info"]]
    } else if service("identity.") || service("objectstore.") || service("audit.") {
        &[INITIATOR]
    } else if service("image.") {
        &[&["owner"]]
    } else {
        RESOURCES
    })
}

pub(super) fn of(notification: &Notification<'_>) -> Result<Owner, Malformed> {
    let Notification { kind, publisher, payload, asked_by } = *notification;
    let mut said = false;
    for path in places(kind, payload)? {
        if let Some(value) = members::follow(payload, path)? {
            said = true;
            if let Some(owner) = named(&path.join("."), Some(value))? {
                return Ok(Owner::Named(owner));
            }
        }
    }
    if publisher.starts_with("network.") && !said {
        return match neutron(kind, payload)? {
            Some(owner) => Ok(owner),
            None => match asked_by {
                Some(id) => members::project("_context_project_id", id).map(Owner::Named),
                None => Ok(Owner::Nobody),
            },
        };
    }
    Ok(Owner::Nobody)
}

/// Neutron's payload has the resource under its own name, `{"port": {…}}`, or, if several were made
/// at once, `{"ports": [{…}, …]}`; these go to a project only if all of them are its.
fn neutron(kind: &str, payload: &str) -> Result<Option<Owner>, Malformed> {
    let mut words = kind.split('.');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // `router.interface.create` is about a router_interface.
    for resource in [first.to_owned(), format!("{first}_{second}")] {
        let many = format!("{resource}s");
        let Some([one, many]) = members::pick(payload, [resource.as_str(), many.as_str()])? else {
            continue;
        };
        let mut resources = Vec::from_iter(one);
        if let Some(many) = many {
            // Not a list: then nothing in it names a project.
            resources
                .extend(serde_json::from_str::<Vec<&RawValue>>(many.get()).unwrap_or_default());
        }
        let owners = resources.into_iter().map(|resource| resource_owner(resource.get()));
        let mut owners = owners.collect::<Result<Vec<_>, _>>()?;
        owners.dedup();
        match owners.as_mut_slice() {
            [] | [None] => {}
            [Some(owner)] => return Ok(Some(owner.clone())),
            _ => return Ok(Some(Owner::Nobody)),
        }
    }
    Ok(None)
}

fn resource_owner(resource: &str) -> Result<Option<Owner>, Malformed> {
    let Some([project, tenant]) = members::pick(resource, ["project_id", "tenant_id"])? else {
        return Ok(None);
    };
    if project.is_none() && tenant.is_none() {
        return Ok(None);
    }
    let owner = match named("project_id", project)? {
        None => named("tenant_id", tenant)?,
        owner => owner,
    };
    Ok(Some(owner.map_or(Owner::Nobody, Owner::Named)))
}

/// The project that a member names. Swift may put the prefix of its accounts before it.
fn named(name: &str, value: Option<&RawValue>) -> Result<Option<Project>, Malformed> {
    let text = members::string(name, value)?.unwrap_or_default();
    match text.strip_prefix("AUTH_").unwrap_or(&text) {
        "" => Ok(None),
        id => members::project(name, id).map(Some),
    }
}
