//! Comma-separated values, as RFC 4180 has them.

use std::fmt::Write;

use bytes::Bytes;
use headworks_api::storage::RequestRecord;
use headworks_core::Fault;

use super::{
    Form,
    columns::{COLUMNS, Cell, rfc3339},
};

#[derive(Default)]
pub(super) struct Csv {
    begun: bool,
}

fn field(out: &mut String, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

impl Csv {
    fn head(&mut self, out: &mut String) {
        if !std::mem::replace(&mut self.begun, true) {
            out.push_str(&COLUMNS.iter().map(|column| column.name).collect::<Vec<_>>().join(","));
            out.push_str("\r\n");
        }
    }
}

impl Form for Csv {
    fn push(&mut self, records: &[RequestRecord]) -> Result<Bytes, Fault> {
        let mut out = String::new();
        self.head(&mut out);
        for record in records {
            for (at, column) in COLUMNS.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                match (column.read)(record) {
                    Cell::Text(text) => field(&mut out, &text),
                    // Writing to a String cannot fail.
                    Cell::Int(number) | Cell::Maybe(Some(number)) => drop(write!(out, "{number}")),
                    Cell::Maybe(None) => {}
                    Cell::Bool(yes) => drop(write!(out, "{yes}")),
                    Cell::Time(nanos) => out.push_str(&rfc3339(nanos)),
                }
            }
            out.push_str("\r\n");
        }
        Ok(out.into())
    }

    fn end(&mut self) -> Result<Bytes, Fault> {
        let mut out = String::new();
        self.head(&mut out);
        Ok(out.into())
    }
}
