//! One JSON object a line.

use bytes::Bytes;
use headworks_api::storage::RequestRecord;
use headworks_core::Fault;
use serde_json::{Map, Value};

use super::{
    Form,
    columns::{COLUMNS, Cell, rfc3339},
};

pub(super) struct JsonLines;

impl Form for JsonLines {
    fn push(&mut self, records: &[RequestRecord]) -> Result<Bytes, Fault> {
        let mut out = Vec::new();
        for record in records {
            let mut line = Map::new();
            for column in COLUMNS {
                let value = match (column.read)(record) {
                    // Lists and maps are such here, not text.
                    Cell::Text(text) if matches!(column.name, "tags" | "metadata") => serde_json::from_str(&text).unwrap_or(Value::Null),
                    Cell::Text(text) => text.into(),
                    Cell::Int(number) => number.into(),
                    Cell::Maybe(number) => number.map_or(Value::Null, Value::from),
                    Cell::Bool(yes) => yes.into(),
                    Cell::Time(nanos) => rfc3339(nanos).into(),
                };
                line.insert(column.name.to_owned(), value);
            }
            serde_json::to_writer(&mut out, &line).map_err(|error| Fault::internal(format!("a record cannot be written as JSON: {error}")))?;
            out.push(b'\n');
        }
        Ok(out.into())
    }

    fn end(&mut self) -> Result<Bytes, Fault> {
        Ok(Bytes::new())
    }
}
