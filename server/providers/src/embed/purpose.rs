/// What vectors are for. Providers have words of their own for the same few things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// A text that looks for others.
    Query,
    /// A text to be found.
    Document,
    /// To be sorted into classes.
    Classification,
    /// To be grouped.
    Clustering,
    /// To be compared.
    Similarity,
    /// In the provider's own word.
    Other(&'a str),
}

impl<'a> Purpose<'a> {
    /// The purpose behind any provider's word.
    pub(crate) fn of(word: &'a str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "query" | "search_query" | "retrieval_query" | "generic_retrieval" => Purpose::Query,
            "document" | "passage" | "search_document" | "retrieval_document" | "generic_index" => Purpose::Document,
            "classification" => Purpose::Classification,
            "clustering" => Purpose::Clustering,
            "semantic_similarity" | "similarity" => Purpose::Similarity,
            _ => Purpose::Other(word),
        }
    }

    /// Cohere's `input_type` (docs.cohere.com/reference/embed). It has none for comparing: clustering is symmetric too.
    pub(crate) const fn cohere(self) -> &'a str {
        match self {
            Purpose::Query => "search_query",
            Purpose::Document => "search_document",
            Purpose::Classification => "classification",
            Purpose::Clustering | Purpose::Similarity => "clustering",
            Purpose::Other(word) => word,
        }
    }

    /// Google's `taskType` (ai.google.dev/api/embeddings).
    pub(crate) const fn google(self) -> &'a str {
        match self {
            Purpose::Query => "RETRIEVAL_QUERY",
            Purpose::Document => "RETRIEVAL_DOCUMENT",
            Purpose::Classification => "CLASSIFICATION",
            Purpose::Clustering => "CLUSTERING",
            Purpose::Similarity => "SEMANTIC_SIMILARITY",
            Purpose::Other(word) => word,
        }
    }

    /// Amazon Nova's `embeddingPurpose`.
    pub(crate) const fn nova(self) -> &'a str {
        match self {
            Purpose::Query => "GENERIC_RETRIEVAL",
            Purpose::Document => "GENERIC_INDEX",
            Purpose::Classification => "CLASSIFICATION",
            Purpose::Clustering => "CLUSTERING",
            Purpose::Similarity => "GENERIC_RETRIEVAL",
            Purpose::Other(word) => word,
        }
    }

    /// The word of a host that knows searching only: `query` and `document` (Voyage) or `passage` (NVIDIA). `None`: it has no word.
    pub(crate) const fn search(self, document: &'a str) -> Option<&'a str> {
        match self {
            Purpose::Query => Some("query"),
            Purpose::Document => Some(document),
            Purpose::Other(word) => Some(word),
            Purpose::Classification | Purpose::Clustering | Purpose::Similarity => None,
        }
    }
}
