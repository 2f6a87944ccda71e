//! What an error of the client library means: who can do something about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::Kind;

/// `otherwise` if the cluster did not say no.
pub(super) fn kind(error: &KafkaError, otherwise: Kind) -> Kind {
    use RDKafkaErrorCode as Code;
    if let KafkaError::ClientConfig(..) | KafkaError::Nul(_) = error {
        return Kind::Refused;
    }
    match error.rdkafka_error_code() {
        Some(
            Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::UnknownPartition
            | Code::InvalidTopic
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::InvalidArgument
            | Code::InvalidGroupId
            | Code::InvalidSessionTimeout
            | Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::PolicyViolation
            | Code::UnsupportedVersion
            | Code::UnsupportedCompressionType
            | Code::NotImplemented,
        ) => Kind::Refused,
        // Too few replicas keep up, or our own queue is full.
        Some(Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::QueueFull) => {
            Kind::Busy
        }
        _ => otherwise,
    }
}

/// Something that the library mends by itself, and that is no news to anybody else.
pub(super) fn is_mended(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::Resolve
                | Code::PartitionEOF
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::RebalanceInProgress
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
        )
    )
}
