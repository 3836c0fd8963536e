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
    use prost::Message;

    #[test]
    fn the_descriptor_set_holds_every_service_and_nothing_of_the_disk() {
        let set = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
        let mut services: Vec<_> = set.file.iter().flat_map(|f| &f.service).map(|s| s.name().to_owned()).collect();
        services.sort();
        assert_eq!(services, ["ChatService", "EmbeddingService", "KeyService", "ModelService", "PolicyService", "StreamService", "UsageService"]);
        assert!(set.file.iter().all(|f| f.package() != "headworks.storage.v1"));
    }
}
