//! Generated from `proto/`: messages, stubs and the descriptor set.

/// The public vocabulary, `headworks.v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("headworks.v1");
}

/// What is on disk, `headworks.storage.v1`.
#[allow(missing_docs, clippy::all)]
pub mod storage {
    tonic::include_proto!("headworks.storage.v1");
}

/// The public schema with all it imports, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public.binpb"));

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message;
    use prost_types::FileDescriptorSet;

    fn public() -> FileDescriptorSet {
        FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap()
    }

    #[test]
    fn every_service_and_method_is_in_the_descriptor_set() {
        let set = public();
        let found: BTreeMap<&str, BTreeSet<&str>> =
            set.file.iter().flat_map(|f| &f.service).map(|s| (s.name(), s.method.iter().map(|m| m.name()).collect())).collect();
        let wanted = [
            ("ChatService", "Complete"),
            ("StreamService", "Stream Resume Cancel"),
            ("PolicyService", "CreatePolicy GetPolicy ListPolicies UpdatePolicy DeletePolicy ListPolicyVersions ExplainRoute SimulatePolicy"),
            ("UsageService", "QueryUsage ListRequests GetRequest WatchRequests ExportRequests"),
            (
                "KeyService",
                "CreateKey GetKey ListKeys UpdateKey RotateKey RevokeKey CreateGroup GetGroup ListGroups UpdateGroup DeleteGroup GetBudget ListAlerts WatchAlerts",
            ),
            ("ModelService", "ListModels GetModel ListProviders CheckChat CreateModel UpdateModel DeleteModel"),
            ("EmbeddingService", "Embed"),
        ];
        let wanted = wanted.map(|(service, methods)| (service, methods.split(' ').collect()));
        assert_eq!(found, BTreeMap::from(wanted));
    }

    #[test]
    fn nothing_of_the_disk_is_public() {
        for file in &public().file {
            assert!(!file.package().starts_with("headworks.storage"), "{} would be served by reflection", file.name());
            assert!(file.dependency.iter().all(|d| !d.contains("/storage/")), "{} imports what is on disk", file.name());
        }
    }

    /// Reflection refuses a set with holes in it, and the gateway would go without.
    #[test]
    fn the_descriptor_set_is_whole_and_without_comments() {
        let set = public();
        let names: BTreeSet<&str> = set.file.iter().map(|f| f.name()).collect();
        for file in &set.file {
            assert!(file.source_code_info.is_none(), "{} carries its comments", file.name());
            for import in &file.dependency {
                assert!(names.contains(import.as_str()), "{} imports {import}, which is not in the set", file.name());
            }
        }
    }
}
