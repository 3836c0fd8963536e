//! Records as files: one table of columns, three forms.

mod columns;
mod csv;
mod jsonl;
mod parquet;

use bytes::Bytes;
use headworks_api::{storage::RequestRecord, v1::ExportFormat};
use headworks_core::Fault;

/// Turns records into the bytes of a file, piece by piece.
pub(crate) trait Form: Send {
    /// Some more records; what can be written now.
    fn push(&mut self, records: &[RequestRecord]) -> Result<Bytes, Fault>;
    /// The rest of the file.
    fn end(&mut self) -> Result<Bytes, Fault>;
}

/// A writer of the form asked for.
pub(crate) fn form(asked: ExportFormat) -> Result<Box<dyn Form>, Fault> {
    Ok(match asked {
        ExportFormat::Unspecified | ExportFormat::JsonLines => Box::new(jsonl::JsonLines),
        ExportFormat::Csv => Box::new(csv::Csv::default()),
        ExportFormat::Parquet => Box::new(parquet::Parquet::new()?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use headworks_api::storage::AttemptRecord;

    use super::*;

    fn records() -> Vec<RequestRecord> {
        let attempt = AttemptRecord { provider: "p".into(), model: "m".into(), outcome: 1, tokens: vec![3, 1], cost_nano_usd: Some(7), ..Default::default() };
        vec![
            RequestRecord {
                id: "req_1".into(),
                key_id: "k".into(),
                model: "a \"b\", c".into(),
                start_unix_nanos: 1_790_000_000_123_456_789,
                latency_nanos: 1_500_000_000,
                outcome: 1,
                cost_nano_usd: 1_000_000_007,
                cost_known: true,
                tags: vec!["x".into(), "y".into()],
                attempts: vec![attempt],
                metadata: [("env".to_owned(), "prod\n".to_owned())].into(),
                ..Default::default()
            },
            RequestRecord { id: "req_2".into(), outcome: 2, ..Default::default() },
        ]
    }

    fn file(asked: ExportFormat) -> Bytes {
        let mut form = form(asked).unwrap();
        let all = records();
        let pieces = [form.push(&all[..1]).unwrap(), form.push(&all[1..]).unwrap(), form.end().unwrap()];
        Bytes::from(pieces.concat())
    }

    #[test]
    fn lines_of_json_hold_every_column() {
        let text = file(ExportFormat::JsonLines);
        let lines: Vec<serde_json::Value> = text.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].as_object().unwrap().len(), columns::COLUMNS.len());
        assert_eq!(lines[0]["time"], "2026-09-21T14:13:20.123456789Z");
        assert_eq!(lines[0]["cost_nano_usd"], 1_000_000_007);
        assert_eq!(lines[0]["cost_usd"], "1.000000007");
        assert_eq!((&lines[0]["served_by"], &lines[0]["input_tokens"], &lines[1]["served_by"]), (&"p/m".into(), &3.into(), &"".into()));
    }

    #[test]
    fn csv_quotes_what_needs_it_and_has_one_head() {
        let text = String::from_utf8(file(ExportFormat::Csv).to_vec()).unwrap();
        let mut lines = text.split("\r\n");
        assert_eq!(lines.next().unwrap().split(',').count(), columns::COLUMNS.len());
        assert!(text.contains(r#""a ""b"", c""#) && text.contains(r#""{""env"":""prod\n""}""#), "{text}");
        assert_eq!(text.matches("req_").count(), 2);
    }

    #[test]
    fn parquet_reads_back() {
        let reader = SerializedFileReader::new(file(ExportFormat::Parquet)).unwrap();
        let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        let text = rows[0].to_string();
        assert!(text.contains("req_1") && text.contains("1000000007"), "{text}");
        assert_eq!(rows[0].len(), columns::COLUMNS.len());
    }
}
