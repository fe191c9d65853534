//! Names of stores, as far as they are understood without opening one.

/// Whether a name of a store is meant to be the address of a server.
pub fn is_address(name: &str) -> bool {
    name.starts_with("postgresql:") || name.starts_with("postgres:")
}

/// The name of a store without a password, for people and for commands that are printed. Nothing of what follows a colon in
/// front of the host survives, however broken an address is; of its parameters those do that are no secret.
pub fn without_password(name: &str) -> String {
    if !is_address(name) {
        return name.to_owned();
    }
    let Some((scheme, rest)) = name.split_once("://") else {
        return name.split_once(':').map_or_else(String::new, |(scheme, _)| format!("{scheme}:..."));
    };
    // A password may hold `@`, `/` and `?` by mistake: the last `@` ends it.
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
    const PLAIN: [&str; 7] = ["sslmode=", "sslrootcert=", "schema=", "host=", "port=", "user=", "dbname="];
    let query: Vec<&str> = query.split('&').filter(|part| PLAIN.iter().any(|name| part.starts_with(name))).collect();
    let user =
        user.map_or_else(String::new, |user| format!("{}@", user.split([':', '?', '/']).next().unwrap_or_default()));
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    format!("{scheme}://{user}{host}{query}")
}
