//! Server-sent events, as the HTML standard defines them, over bytes that may be cut anywhere.
