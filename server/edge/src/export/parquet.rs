//! Apache Parquet, a row group for every few thousand calls.

use std::sync::Arc;

use bytes::Bytes;
use headworks_api::storage::RequestRecord;
use headworks_core::Fault;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};

use super::{
    Form,
    columns::{COLUMNS, Cell, Kind},
};

/// Calls in one row group: memory stays bounded.
const GROUP: usize = 8_192;

pub(super) struct Parquet {
    writer: Option<SerializedFileWriter<Vec<u8>>>,
    /// How much of the writer's buffer was given out.
    waiting: Vec<RequestRecord>,
}

fn failed(error: &ParquetError) -> Fault {
    Fault::internal(format!("the records cannot be written as Parquet: {error}"))
}

fn schema() -> Result<TypePtr, ParquetError> {
    let fields = COLUMNS
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Kind::Int | Kind::Maybe => (Physical::INT64, None),
                Kind::Bool => (Physical::BOOLEAN, None),
                Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
            };
            let repetition = if column.kind == Kind::Maybe { Repetition::OPTIONAL } else { Repetition::REQUIRED };
            Type::primitive_type_builder(column.name, physical).with_repetition(repetition).with_logical_type(logical).build().map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("request").with_fields(fields).build().map(Arc::new)
}

impl Parquet {
    pub(super) fn new() -> Result<Self, Fault> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let made = schema().and_then(|schema| SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)));
        Ok(Self { writer: Some(made.map_err(|error| failed(&error))?), waiting: Vec::new() })
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let records = std::mem::take(&mut self.waiting);
        if records.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        for column in COLUMNS {
            let Some(mut writer) = group.next_column()? else { break };
            let cells = records.iter().map(column.read);
            match writer.untyped() {
                ColumnWriter::ByteArrayColumnWriter(out) => {
                    let texts: Vec<ByteArray> =
                        cells.map(|cell| if let Cell::Text(text) = cell { text.into_bytes().into() } else { ByteArray::new() }).collect();
                    out.write_batch(&texts, None, None)?;
                }
                ColumnWriter::BoolColumnWriter(out) => {
                    let values: Vec<bool> = cells.map(|cell| matches!(cell, Cell::Bool(true))).collect();
                    out.write_batch(&values, None, None)?;
                }
                ColumnWriter::Int64ColumnWriter(out) => {
                    let numbers: Vec<Option<i64>> = cells
                        .map(|cell| match cell {
                            Cell::Int(number) | Cell::Time(number) => Some(number),
                            Cell::Maybe(number) => number,
                            Cell::Text(_) | Cell::Bool(_) => None,
                        })
                        .collect();
                    let there: Vec<i64> = numbers.iter().flatten().copied().collect();
                    let levels: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
                    out.write_batch(&there, (column.kind == Kind::Maybe).then_some(&levels), None)?;
                }
                _ => {}
            }
            writer.close()?;
        }
        group.close().map(|_| ())
    }

    /// What the writer has written since it was last asked.
    fn written(&mut self) -> Bytes {
        // The file's offsets are counted by the writer itself, so its buffer can be emptied.
        self.writer.as_mut().map_or_else(Bytes::new, |writer| std::mem::take(writer.inner_mut()).into())
    }
}

impl Form for Parquet {
    fn push(&mut self, records: &[RequestRecord]) -> Result<Bytes, Fault> {
        self.waiting.extend_from_slice(records);
        if self.waiting.len() < GROUP {
            return Ok(Bytes::new());
        }
        self.group().map_err(|error| failed(&error))?;
        Ok(self.written())
    }

    fn end(&mut self) -> Result<Bytes, Fault> {
        self.group().map_err(|error| failed(&error))?;
        let writer = self.writer.take();
        writer.map_or_else(|| Ok(Bytes::new()), |writer| writer.into_inner().map(Bytes::from)).map_err(|error| failed(&error))
    }
}
