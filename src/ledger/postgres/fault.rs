//! Why something could not be done, before it is known in which store; and the words for what a server says.

use std::{error::Error as _, io};

use tokio_postgres::error::SqlState;

use crate::{
    ledger::{rows::Damage, store::Owner},
    locale::{Phrase, say},
};

#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused a statement; the connection is whole.
    Sql(tokio_postgres::Error),
    /// There is no connection any more, or none to be had: nobody knows whether the last statement was carried out.
    Lost(Phrase),
    /// It will not become better by trying again; what to do about it.
    Unusable(Phrase, Phrase),
    Damaged(Phrase),
    Conflict(Phrase),
    /// Somebody else has the account by now.
    TakenOver(Option<Owner>),
}

impl From<Damage> for Fault {
    fn from(Damage(what): Damage) -> Self {
        Fault::Damaged(what)
    }
}

/// The cause of an error at the bottom of its chain, as far as it is one of the system.
fn io_cause(error: &tokio_postgres::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    let mut found = None;
    while let Some(inner) = cause {
        found = inner.downcast_ref::<io::Error>().or(found);
        cause = inner.source();
    }
    found
}

fn tls_cause(error: &tokio_postgres::Error) -> Option<&rustls::Error> {
    let outer = io_cause(error)?;
    outer.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

/// Why there is no connection: what it is and what to do, or that it may be had later.
pub(super) fn of_connect(error: &tokio_postgres::Error) -> Fault {
    if let Some(tls) = tls_cause(error) {
        return of_tls(tls);
    }
    if let Some(state) = error.code() {
        return of_login(state, server_words(error));
    }
    let said = error.source().map(ToString::to_string).unwrap_or_default();
    if said.contains("does not support TLS") {
        return Fault::Unusable(
            say!("cannot be reached: the server has no TLS"),
            say!("turn on `ssl` in the server; without it, only a server on this machine is taken (sslmode=disable)"),
        );
    }
    if said.contains("password") {
        return Fault::Unusable(
            say!("cannot be opened: the server asks for a password"),
            say!("set QUNFA_STATE_PASSWORD, QUNFA_STATE_PASSWORD_FILE or QUNFA_STATE_PASSWORD_COMMAND"),
        );
    }
    if said.contains("read-write") || said.contains("session attributes") || error.to_string().contains("read only") {
        return standby();
    }
    if error.to_string().contains("authentication") {
        return other_login();
    }
    match io_cause(error) {
        // What the client makes of an answer that it cannot read is no error of the system.
        Some(cause) if cause.kind() != io::ErrorKind::InvalidInput && cause.kind() != io::ErrorKind::InvalidData => {
            Fault::Lost(say!("cannot be reached: {why}", why = network(cause)))
        }
        _ => no_postgres(),
    }
}

/// Kerberos, for example.
fn other_login() -> Fault {
    Fault::Unusable(
        say!("cannot be opened: the server wants a kind of login other than a password"),
        say!("let the user log in with `scram-sha-256` in `pg_hba.conf` of the server"),
    )
}

fn no_postgres() -> Fault {
    Fault::Unusable(
        say!("cannot be reached: {why}", why = say!("what answers there is not PostgreSQL")),
        say!("check host and port of the address"),
    )
}

/// The oldest server that is taken: `idle_session_timeout` is new in it.
pub(super) const OLDEST: u32 = 14;

pub(super) fn too_old(version: u32) -> Fault {
    Fault::Unusable(
        say!("cannot be used: the server is PostgreSQL {version}", version),
        say!("use PostgreSQL {oldest} or newer", oldest = OLDEST),
    )
}

pub(super) fn not_added() -> Fault {
    Fault::Unusable(
        say!("cannot be written: an event was not added"),
        say!("see whether the schema has triggers, rules or policies of its own"),
    )
}

/// What a server warns of when somebody ends the wait for its standby: it takes the commit for done.
pub(super) fn unreplicated() -> Phrase {
    say!("a commit is not on the standby server")
}

pub(super) fn standby() -> Fault {
    Fault::Unusable(say!("cannot be written: the server is a standby"), say!("use the address of the primary server"))
}

/// The way to the server goes through a pooler that gives each transaction another session.
pub(super) fn pooled() -> Fault {
    Fault::Unusable(
        say!("cannot be used: a pooler gives each transaction another session, so the account's lock would not hold"),
        say!("use the port of the server itself, or of a pooler in session mode"),
    )
}

fn of_tls(error: &rustls::Error) -> Fault {
    use rustls::{CertificateError as Bad, Error};
    let own_root = || say!("name the file of the authority that signed it: &sslrootcert=PATH");
    let (why, help) = match error {
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            (say!("its certificate is not signed by a known authority"), own_root())
        }
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => (
            say!("its certificate is for another host name"),
            say!("use the host name of the certificate, or give the server a certificate for this one"),
        ),
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => (
            say!("its certificate has expired"),
            say!("renew the certificate of the server; check this machine's clock too"),
        ),
        Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            (say!("its certificate is not valid yet"), say!("check the clocks of the server and of this machine"))
        }
        Error::InvalidCertificate(bad) if format!("{bad:?}").contains("CaUsedAsEndEntity") => (
            say!("its certificate is that of an authority (self-signed)"),
            say!("make a server certificate that this authority signed, and name the authority: &sslrootcert=PATH"),
        ),
        Error::InvalidCertificate(_) => (say!("its certificate is not valid"), own_root()),
        _ => (say!("cannot establish an encrypted connection"), own_root()),
    };
    Fault::Unusable(say!("cannot be trusted: {why}", why), help)
}

fn of_login(state: &SqlState, words: Phrase) -> Fault {
    let unusable = |why: Phrase, help: Phrase| Fault::Unusable(say!("cannot be opened: {why}", why), help);
    if *state == SqlState::INVALID_PASSWORD {
        unusable(
            say!("the server does not accept the password"),
            say!("set QUNFA_STATE_PASSWORD, QUNFA_STATE_PASSWORD_FILE or QUNFA_STATE_PASSWORD_COMMAND"),
        )
    } else if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        unusable(
            say!("the server does not accept this user from this machine"),
            say!("check the user, and `pg_hba.conf` of the server"),
        )
    } else if *state == SqlState::INVALID_CATALOG_NAME {
        unusable(say!("the server has no such database"), say!("create the database, or correct its name"))
    } else if *state == SqlState::TOO_MANY_CONNECTIONS {
        Fault::Lost(say!("cannot be opened: {why}", why = say!("the server has no connection left")))
    } else if [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(state) {
        Fault::Lost(say!("cannot be opened: {why}", why = say!("the server is starting or stopping")))
    } else {
        unusable(words, say!("ask who runs the server"))
    }
}

/// Whether the connection is gone with an error of a statement.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        // Class 57: an administrator, a crash, a time-out of idle sessions; class 08: the connection.
        Some(state) => {
            let code = state.code();
            (code.starts_with("57P") && *state != SqlState::CANNOT_CONNECT_NOW) || code.starts_with("08")
        }
        None => {
            // What is no statement's fault: everything but values that cannot be converted.
            let text = error.to_string();
            !text.contains("serializing")
                && !text.contains("column")
                && !text.contains("parameters")
                && !text.contains("number of rows")
        }
    }
}

/// What a server says of a statement: its code, and its words, which are the only ones there are.
pub(super) fn server_words(error: &tokio_postgres::Error) -> Phrase {
    match error.as_db_error() {
        Some(told) => {
            let (code, words) = (told.code().code().to_owned(), told.message().to_owned());
            say!("the server reports {code}: {words}", code, words)
        }
        // A fault of ours: a value that is not of the type of its column.
        None => Phrase::verbatim(error.to_string()),
    }
}

/// Why a connection ended.
pub(super) fn ended(error: &tokio_postgres::Error) -> Phrase {
    if error.code().is_some() {
        return server_words(error);
    }
    match io_cause(error) {
        Some(cause) => network(cause),
        None => say!("the connection was closed"),
    }
}

fn network(cause: &io::Error) -> Phrase {
    use io::ErrorKind as Kind;
    match cause.kind() {
        Kind::ConnectionRefused => say!("nothing listens at this address"),
        Kind::TimedOut => say!("the connection timed out"),
        Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted => say!("the connection was reset"),
        Kind::UnexpectedEof => say!("the connection was closed"),
        Kind::HostUnreachable | Kind::NetworkUnreachable => say!("the network is unreachable"),
        Kind::NotFound => say!("there is no such socket"),
        _ if cause.to_string().contains("lookup") => say!("cannot resolve the host name"),
        _ => crate::problem::reason(cause),
    }
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError as Bad, Error, OtherError};

    use super::*;
    use crate::locale::tests::{BOTH, speaking};

    fn told(fault: Fault) -> String {
        match fault {
            Fault::Unusable(what, help) => format!("{what}\n  {help}"),
            Fault::Lost(what) => what.to_string(),
            other => format!("{other:?}"),
        }
    }

    /// A cause as rustls gives it, by its name alone.
    #[derive(Debug)]
    struct CaUsedAsEndEntity;

    impl std::fmt::Display for CaUsedAsEndEntity {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("CaUsedAsEndEntity")
        }
    }

    impl std::error::Error for CaUsedAsEndEntity {}

    #[test]
    fn what_keeps_a_connection_from_being_made_is_told_with_the_remedy() {
        let tls = [
            Bad::UnknownIssuer,
            Bad::NotValidForName,
            Bad::Expired,
            Bad::NotValidYet,
            Bad::Other(OtherError(std::sync::Arc::new(CaUsedAsEndEntity))),
            Bad::BadSignature,
        ];
        let states = [
            SqlState::INVALID_PASSWORD,
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            SqlState::INVALID_CATALOG_NAME,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::INTERNAL_ERROR,
        ];
        let kinds = [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::TimedOut,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied,
        ];
        for (language, suffix) in BOTH {
            let said = speaking(language, || {
                let words = || say!("the server reports {code}: {words}", code = "XX000", words = "out of order");
                let of_tls = tls.iter().map(|bad| of_tls(&Error::InvalidCertificate(bad.clone())));
                let of_tls = of_tls.chain([of_tls_other()]).map(told);
                let of_login = states.iter().map(|state| told(of_login(state, words())));
                let network = kinds.iter().map(|kind| network(&io::Error::from(*kind)).to_string());
                let lost = say!("lost its connection: {why}", why = say!("the connection was closed")).to_string();
                let others = [
                    told(too_old(13)),
                    told(not_added()),
                    told(other_login()),
                    told(no_postgres()),
                    unreplicated().to_string(),
                    lost,
                ];
                of_tls.chain(of_login).chain(network).chain(others).collect::<Vec<_>>().join("\n")
            });
            insta::assert_snapshot!(format!("connect{suffix}"), said);
        }
    }

    fn of_tls_other() -> Fault {
        of_tls(&Error::DecryptError)
    }
}
