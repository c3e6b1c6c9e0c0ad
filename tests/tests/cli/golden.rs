// Made by `eventlog codegen` of the log's taxonomy. Change that, and make it again.

//! The events of the log.

/// A page.
/// */ pub fn x() {}
#[derive(Clone, Debug, serde::Serialize)]
pub struct AppPageViewed {
    /// The key `type`.
    #[serde(rename = "type")]
    pub r#type: serde_json::Value,
    /// The key `Type`.
    #[serde(rename = "Type")]
    pub type2: serde_json::Value,
    /// The key `self`.
    #[serde(rename = "self")]
    pub self_: serde_json::Value,
    /// The key `path`.
    #[serde(rename = "path")]
    pub path: String,
    /// The key ``.
    #[serde(rename = "", skip_serializing_if = "Option::is_none")]
    pub key: Option<serde_json::Value>,
    /// The key `2nd`.
    #[serde(rename = "2nd", skip_serializing_if = "Option::is_none")]
    pub key_2nd: Option<serde_json::Value>,
    /// The key `a-b`.
    #[serde(rename = "a-b", skip_serializing_if = "Option::is_none")]
    pub a_b: Option<serde_json::Value>,
    /// The key `"]`.
    #[serde(rename = "\"]", skip_serializing_if = "Option::is_none")]
    pub key2: Option<serde_json::Value>,
    /// The key `größe`.
    #[serde(rename = "größe", skip_serializing_if = "Option::is_none")]
    pub gr_e: Option<serde_json::Value>,
    /// The key `other`.
    #[serde(rename = "other", skip_serializing_if = "Option::is_none")]
    pub other2: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl AppPageViewed {
    /// The name in the log.
    pub const NAME: &'static str = "app.page.viewed";

    /// With the keys that it must have.
    pub fn new(r#type: serde_json::Value, type2: serde_json::Value, self_: serde_json::Value, path: impl Into<String>) -> Self {
        AppPageViewed {
            r#type,
            type2,
            self_,
            path: path.into(),
            key: None,
            key_2nd: None,
            a_b: None,
            key2: None,
            gr_e: None,
            other2: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// An event `app_page_viewed`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AppPageViewed2 {
    /// The key `level`.
    #[serde(rename = "level")]
    pub level: AppPageViewed2Level,
    /// The key `is_on`.
    #[serde(rename = "is_on")]
    pub is_on: bool,
    /// The key `n`.
    #[serde(rename = "n")]
    pub n: i64,
    /// The key `x`.
    #[serde(rename = "x")]
    pub x: serde_json::Value,
}

impl AppPageViewed2 {
    /// The name in the log.
    pub const NAME: &'static str = "app_page_viewed";

    /// With the keys that it must have.
    pub fn new(level: AppPageViewed2Level, is_on: bool, n: i64, x: serde_json::Value) -> Self {
        AppPageViewed2 {
            level,
            is_on,
            n,
            x,
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `level`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum AppPageViewed2Level {
    #[allow(missing_docs)]
    #[serde(rename = "low")]
    Low,
    #[allow(missing_docs)]
    #[serde(rename = "Low")]
    Low2,
    #[allow(missing_docs)]
    #[serde(rename = "")]
    Empty,
    #[allow(missing_docs)]
    #[serde(rename = "high/er")]
    HighEr,
}

/// An artifact was deployed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArtifactDeployed {
    /// The key `artifactName`.
    #[serde(rename = "artifactName")]
    pub artifact_name: String,
    /// The key `artifactType`.
    #[serde(rename = "artifactType")]
    pub artifact_type: ArtifactDeployedArtifactType,
    /// The key `collectionName`.
    #[serde(rename = "collectionName", skip_serializing_if = "Option::is_none")]
    pub collection_name: Option<serde_json::Value>,
    /// The key `projectPath`.
    #[serde(rename = "projectPath", skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// The key `result`.
    #[serde(rename = "result", skip_serializing_if = "Option::is_none")]
    pub result: Option<ArtifactDeployedResult>,
    /// The key `success`.
    #[serde(rename = "success", skip_serializing_if = "Option::is_none")]
    pub success: Option<serde_json::Value>,
    /// The key `conflicts`.
    #[serde(rename = "conflicts", skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ArtifactDeployed {
    /// The name in the log.
    pub const NAME: &'static str = "artifact_deployed";

    /// With the keys that it must have.
    pub fn new(artifact_name: impl Into<String>, artifact_type: ArtifactDeployedArtifactType) -> Self {
        ArtifactDeployed {
            artifact_name: artifact_name.into(),
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            success: None,
            conflicts: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `artifactType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactDeployedArtifactType {
    #[allow(missing_docs)]
    #[serde(rename = "skill")]
    Skill,
    #[allow(missing_docs)]
    #[serde(rename = "command")]
    Command,
    #[allow(missing_docs)]
    #[serde(rename = "agent")]
    Agent,
}

/// The values of the key `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactDeployedResult {
    #[allow(missing_docs)]
    #[serde(rename = "success")]
    Success,
    #[allow(missing_docs)]
    #[serde(rename = "conflict")]
    Conflict,
    #[allow(missing_docs)]
    #[serde(rename = "error")]
    Error,
    #[allow(missing_docs)]
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// An artifact was removed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArtifactRemoved {
    /// The key `artifactName`.
    #[serde(rename = "artifactName")]
    pub artifact_name: String,
    /// The key `artifactType`.
    #[serde(rename = "artifactType")]
    pub artifact_type: ArtifactRemovedArtifactType,
    /// The key `collectionName`.
    #[serde(rename = "collectionName", skip_serializing_if = "Option::is_none")]
    pub collection_name: Option<serde_json::Value>,
    /// The key `projectPath`.
    #[serde(rename = "projectPath", skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// The key `result`.
    #[serde(rename = "result", skip_serializing_if = "Option::is_none")]
    pub result: Option<ArtifactRemovedResult>,
    /// The key `success`.
    #[serde(rename = "success", skip_serializing_if = "Option::is_none")]
    pub success: Option<serde_json::Value>,
    /// The key `conflicts`.
    #[serde(rename = "conflicts", skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ArtifactRemoved {
    /// The name in the log.
    pub const NAME: &'static str = "artifact_removed";

    /// With the keys that it must have.
    pub fn new(artifact_name: impl Into<String>, artifact_type: ArtifactRemovedArtifactType) -> Self {
        ArtifactRemoved {
            artifact_name: artifact_name.into(),
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            success: None,
            conflicts: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `artifactType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactRemovedArtifactType {
    #[allow(missing_docs)]
    #[serde(rename = "skill")]
    Skill,
    #[allow(missing_docs)]
    #[serde(rename = "command")]
    Command,
    #[allow(missing_docs)]
    #[serde(rename = "agent")]
    Agent,
}

/// The values of the key `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactRemovedResult {
    #[allow(missing_docs)]
    #[serde(rename = "success")]
    Success,
    #[allow(missing_docs)]
    #[serde(rename = "conflict")]
    Conflict,
    #[allow(missing_docs)]
    #[serde(rename = "error")]
    Error,
    #[allow(missing_docs)]
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// An artifact was among the first five results of a search.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArtifactSearched {
    /// The key `artifactName`.
    #[serde(rename = "artifactName")]
    pub artifact_name: String,
    /// The key `artifactType`.
    #[serde(rename = "artifactType")]
    pub artifact_type: ArtifactSearchedArtifactType,
    /// The key `collectionName`.
    #[serde(rename = "collectionName", skip_serializing_if = "Option::is_none")]
    pub collection_name: Option<serde_json::Value>,
    /// The key `projectPath`.
    #[serde(rename = "projectPath", skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// The key `result`.
    #[serde(rename = "result", skip_serializing_if = "Option::is_none")]
    pub result: Option<ArtifactSearchedResult>,
    /// The key `success`.
    #[serde(rename = "success", skip_serializing_if = "Option::is_none")]
    pub success: Option<serde_json::Value>,
    /// The key `conflicts`.
    #[serde(rename = "conflicts", skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ArtifactSearched {
    /// The name in the log.
    pub const NAME: &'static str = "artifact_searched";

    /// With the keys that it must have.
    pub fn new(artifact_name: impl Into<String>, artifact_type: ArtifactSearchedArtifactType) -> Self {
        ArtifactSearched {
            artifact_name: artifact_name.into(),
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            success: None,
            conflicts: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `artifactType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactSearchedArtifactType {
    #[allow(missing_docs)]
    #[serde(rename = "skill")]
    Skill,
    #[allow(missing_docs)]
    #[serde(rename = "command")]
    Command,
    #[allow(missing_docs)]
    #[serde(rename = "agent")]
    Agent,
}

/// The values of the key `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactSearchedResult {
    #[allow(missing_docs)]
    #[serde(rename = "success")]
    Success,
    #[allow(missing_docs)]
    #[serde(rename = "conflict")]
    Conflict,
    #[allow(missing_docs)]
    #[serde(rename = "error")]
    Error,
    #[allow(missing_docs)]
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// An artifact was synchronised.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArtifactSynced {
    /// The key `artifactName`.
    #[serde(rename = "artifactName")]
    pub artifact_name: String,
    /// The key `artifactType`.
    #[serde(rename = "artifactType")]
    pub artifact_type: ArtifactSyncedArtifactType,
    /// The key `collectionName`.
    #[serde(rename = "collectionName", skip_serializing_if = "Option::is_none")]
    pub collection_name: Option<serde_json::Value>,
    /// The key `projectPath`.
    #[serde(rename = "projectPath", skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// The key `result`.
    #[serde(rename = "result", skip_serializing_if = "Option::is_none")]
    pub result: Option<ArtifactSyncedResult>,
    /// The key `success`.
    #[serde(rename = "success", skip_serializing_if = "Option::is_none")]
    pub success: Option<serde_json::Value>,
    /// The key `conflicts`.
    #[serde(rename = "conflicts", skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ArtifactSynced {
    /// The name in the log.
    pub const NAME: &'static str = "artifact_synced";

    /// With the keys that it must have.
    pub fn new(artifact_name: impl Into<String>, artifact_type: ArtifactSyncedArtifactType) -> Self {
        ArtifactSynced {
            artifact_name: artifact_name.into(),
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            success: None,
            conflicts: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `artifactType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactSyncedArtifactType {
    #[allow(missing_docs)]
    #[serde(rename = "skill")]
    Skill,
    #[allow(missing_docs)]
    #[serde(rename = "command")]
    Command,
    #[allow(missing_docs)]
    #[serde(rename = "agent")]
    Agent,
}

/// The values of the key `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactSyncedResult {
    #[allow(missing_docs)]
    #[serde(rename = "success")]
    Success,
    #[allow(missing_docs)]
    #[serde(rename = "conflict")]
    Conflict,
    #[allow(missing_docs)]
    #[serde(rename = "error")]
    Error,
    #[allow(missing_docs)]
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// An artifact was updated.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ArtifactUpdated {
    /// The key `artifactName`.
    #[serde(rename = "artifactName")]
    pub artifact_name: String,
    /// The key `artifactType`.
    #[serde(rename = "artifactType")]
    pub artifact_type: ArtifactUpdatedArtifactType,
    /// The key `collectionName`.
    #[serde(rename = "collectionName", skip_serializing_if = "Option::is_none")]
    pub collection_name: Option<serde_json::Value>,
    /// The key `projectPath`.
    #[serde(rename = "projectPath", skip_serializing_if = "Option::is_none")]
    pub project_path: Option<String>,
    /// The key `result`.
    #[serde(rename = "result", skip_serializing_if = "Option::is_none")]
    pub result: Option<ArtifactUpdatedResult>,
    /// The key `success`.
    #[serde(rename = "success", skip_serializing_if = "Option::is_none")]
    pub success: Option<serde_json::Value>,
    /// The key `conflicts`.
    #[serde(rename = "conflicts", skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ArtifactUpdated {
    /// The name in the log.
    pub const NAME: &'static str = "artifact_updated";

    /// With the keys that it must have.
    pub fn new(artifact_name: impl Into<String>, artifact_type: ArtifactUpdatedArtifactType) -> Self {
        ArtifactUpdated {
            artifact_name: artifact_name.into(),
            artifact_type,
            collection_name: None,
            project_path: None,
            result: None,
            success: None,
            conflicts: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `artifactType`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactUpdatedArtifactType {
    #[allow(missing_docs)]
    #[serde(rename = "skill")]
    Skill,
    #[allow(missing_docs)]
    #[serde(rename = "command")]
    Command,
    #[allow(missing_docs)]
    #[serde(rename = "agent")]
    Agent,
}

/// The values of the key `result`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum ArtifactUpdatedResult {
    #[allow(missing_docs)]
    #[serde(rename = "success")]
    Success,
    #[allow(missing_docs)]
    #[serde(rename = "conflict")]
    Conflict,
    #[allow(missing_docs)]
    #[serde(rename = "error")]
    Error,
    #[allow(missing_docs)]
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// A checkout was paid.
#[derive(Clone, Debug, serde::Serialize)]
pub struct CheckoutCompleted {
    /// The key `plan`.
    #[serde(rename = "plan")]
    pub plan: serde_json::Value,
    /// The key `stripeSessionId`.
    #[serde(rename = "stripeSessionId")]
    pub stripe_session_id: serde_json::Value,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl CheckoutCompleted {
    /// The name in the log.
    pub const NAME: &'static str = "checkout_completed";

    /// With the keys that it must have.
    pub fn new(plan: serde_json::Value, stripe_session_id: serde_json::Value) -> Self {
        CheckoutCompleted {
            plan,
            stripe_session_id,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A conversation began.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ConversationStarted {
    /// The key `sessionId`.
    #[serde(rename = "sessionId")]
    pub session_id: serde_json::Value,
    /// The key `conversationId`.
    #[serde(rename = "conversationId")]
    pub conversation_id: String,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ConversationStarted {
    /// The name in the log.
    pub const NAME: &'static str = "conversation_started";

    /// With the keys that it must have.
    pub fn new(session_id: serde_json::Value, conversation_id: impl Into<String>) -> Self {
        ConversationStarted {
            session_id,
            conversation_id: conversation_id.into(),
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A conversation was handed to a person.
#[derive(Clone, Debug, serde::Serialize)]
pub struct EscalationTriggered {
    /// The key `conversationId`.
    #[serde(rename = "conversationId")]
    pub conversation_id: String,
    /// The key `reason`.
    #[serde(rename = "reason")]
    pub reason: serde_json::Value,
    /// The key `integrationId`.
    #[serde(rename = "integrationId", skip_serializing_if = "Option::is_none")]
    pub integration_id: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl EscalationTriggered {
    /// The name in the log.
    pub const NAME: &'static str = "escalation_triggered";

    /// With the keys that it must have.
    pub fn new(conversation_id: impl Into<String>, reason: serde_json::Value) -> Self {
        EscalationTriggered {
            conversation_id: conversation_id.into(),
            reason,
            integration_id: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// An event `event`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Event2 {
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl Event2 {
    /// The name in the log.
    pub const NAME: &'static str = "event";

    /// With the keys that it must have.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Event2 {
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// Ingestion of a source ended well.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IngestCompleted {
    /// The key `sourceType`.
    #[serde(rename = "sourceType")]
    pub source_type: String,
    /// The key `url`.
    #[serde(rename = "url")]
    pub url: serde_json::Value,
    /// The key `docs`.
    #[serde(rename = "docs")]
    pub docs: serde_json::Value,
    /// The key `chunks`.
    #[serde(rename = "chunks")]
    pub chunks: serde_json::Value,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl IngestCompleted {
    /// The name in the log.
    pub const NAME: &'static str = "ingest_completed";

    /// With the keys that it must have.
    pub fn new(source_type: impl Into<String>, url: serde_json::Value, docs: serde_json::Value, chunks: serde_json::Value) -> Self {
        IngestCompleted {
            source_type: source_type.into(),
            url,
            docs,
            chunks,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// Ingestion of a source failed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IngestFailed {
    /// The key `sourceType`.
    #[serde(rename = "sourceType")]
    pub source_type: String,
    /// The key `url`.
    #[serde(rename = "url")]
    pub url: serde_json::Value,
    /// The key `errorCode`.
    #[serde(rename = "errorCode")]
    pub error_code: String,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl IngestFailed {
    /// The name in the log.
    pub const NAME: &'static str = "ingest_failed";

    /// With the keys that it must have.
    pub fn new(source_type: impl Into<String>, url: serde_json::Value, error_code: impl Into<String>) -> Self {
        IngestFailed {
            source_type: source_type.into(),
            url,
            error_code: error_code.into(),
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// Ingestion of a source began.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IngestStarted {
    /// The key `sourceType`.
    #[serde(rename = "sourceType")]
    pub source_type: String,
    /// The key `url`.
    #[serde(rename = "url")]
    pub url: serde_json::Value,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl IngestStarted {
    /// The name in the log.
    pub const NAME: &'static str = "ingest_started";

    /// With the keys that it must have.
    pub fn new(source_type: impl Into<String>, url: serde_json::Value) -> Self {
        IngestStarted {
            source_type: source_type.into(),
            url,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A call of an integration failed.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IntegrationFailed {
    /// The key `integrationId`.
    #[serde(rename = "integrationId")]
    pub integration_id: String,
    /// The key `type`.
    #[serde(rename = "type")]
    pub r#type: String,
    /// The key `errorCode`.
    #[serde(rename = "errorCode")]
    pub error_code: String,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl IntegrationFailed {
    /// The name in the log.
    pub const NAME: &'static str = "integration_failed";

    /// With the keys that it must have.
    pub fn new(integration_id: impl Into<String>, r#type: impl Into<String>, error_code: impl Into<String>) -> Self {
        IntegrationFailed {
            integration_id: integration_id.into(),
            r#type: r#type.into(),
            error_code: error_code.into(),
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A call of an integration went well.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IntegrationSucceeded {
    /// The key `integrationId`.
    #[serde(rename = "integrationId")]
    pub integration_id: String,
    /// The key `type`.
    #[serde(rename = "type")]
    pub r#type: String,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl IntegrationSucceeded {
    /// The name in the log.
    pub const NAME: &'static str = "integration_succeeded";

    /// With the keys that it must have.
    pub fn new(integration_id: impl Into<String>, r#type: impl Into<String>) -> Self {
        IntegrationSucceeded {
            integration_id: integration_id.into(),
            r#type: r#type.into(),
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A message was sent in a conversation.
#[derive(Clone, Debug, serde::Serialize)]
pub struct MessageSent {
    /// The key `conversationId`.
    #[serde(rename = "conversationId")]
    pub conversation_id: String,
    /// The key `role`.
    #[serde(rename = "role")]
    pub role: MessageSentRole,
    /// The key `confidence`.
    #[serde(rename = "confidence", skip_serializing_if = "Option::is_none")]
    pub confidence: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl MessageSent {
    /// The name in the log.
    pub const NAME: &'static str = "message_sent";

    /// With the keys that it must have.
    pub fn new(conversation_id: impl Into<String>, role: MessageSentRole) -> Self {
        MessageSent {
            conversation_id: conversation_id.into(),
            role,
            confidence: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// The values of the key `role`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum MessageSentRole {
    #[allow(missing_docs)]
    #[serde(rename = "user")]
    User,
    #[allow(missing_docs)]
    #[serde(rename = "assistant")]
    Assistant,
}

/// An event `old_name`.
#[deprecated(note = "use event")]
#[derive(Clone, Debug, serde::Serialize)]
pub struct OldName {
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

#[allow(deprecated)]
impl OldName {
    /// The name in the log.
    pub const NAME: &'static str = "old_name";

    /// With the keys that it must have.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        OldName {
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A subscription changed its plan or status.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PlanUpdated {
    /// The key `previousPlan`.
    #[serde(rename = "previousPlan")]
    pub previous_plan: serde_json::Value,
    /// The key `newPlan`.
    #[serde(rename = "newPlan")]
    pub new_plan: serde_json::Value,
    /// The key `status`.
    #[serde(rename = "status")]
    pub status: serde_json::Value,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl PlanUpdated {
    /// The name in the log.
    pub const NAME: &'static str = "plan_updated";

    /// With the keys that it must have.
    pub fn new(previous_plan: serde_json::Value, new_plan: serde_json::Value, status: serde_json::Value) -> Self {
        PlanUpdated {
            previous_plan,
            new_plan,
            status,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A tenant tried to use more than its quota.
#[derive(Clone, Debug, serde::Serialize)]
pub struct QuotaExceeded {
    /// The key `quotaType`.
    #[serde(rename = "quotaType")]
    pub quota_type: String,
    /// The key `limit`.
    #[serde(rename = "limit")]
    pub limit: serde_json::Value,
    /// The key `attempted`.
    #[serde(rename = "attempted")]
    pub attempted: serde_json::Value,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl QuotaExceeded {
    /// The name in the log.
    pub const NAME: &'static str = "quota_exceeded";

    /// With the keys that it must have.
    pub fn new(quota_type: impl Into<String>, limit: serde_json::Value, attempted: serde_json::Value) -> Self {
        QuotaExceeded {
            quota_type: quota_type.into(),
            limit,
            attempted,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A skill ran to its end.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SkillExecuted {
    /// The key `skillName`.
    #[serde(rename = "skillName")]
    pub skill_name: String,
    /// The key `success`.
    #[serde(rename = "success")]
    pub success: bool,
    /// The key `durationMs`.
    #[serde(rename = "durationMs")]
    pub duration_ms: f64,
    /// The key `errorType`.
    #[serde(rename = "errorType", skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// The key `errorMessage`.
    #[serde(rename = "errorMessage", skip_serializing_if = "Option::is_none")]
    pub error_message: Option<serde_json::Value>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl SkillExecuted {
    /// The name in the log.
    pub const NAME: &'static str = "skill_executed";

    /// With the keys that it must have.
    pub fn new(skill_name: impl Into<String>, success: bool, duration_ms: f64) -> Self {
        SkillExecuted {
            skill_name: skill_name.into(),
            success,
            duration_ms,
            error_type: None,
            error_message: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}

/// A tool was used, as told by a hook callback.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ToolUsed {
    /// The key `toolName`.
    #[serde(rename = "toolName")]
    pub tool_name: String,
    /// The key `skillId`.
    #[serde(rename = "skillId", skip_serializing_if = "Option::is_none")]
    pub skill_id: Option<serde_json::Value>,
    /// The key `skillName`.
    #[serde(rename = "skillName", skip_serializing_if = "Option::is_none")]
    pub skill_name: Option<serde_json::Value>,
    /// The key `hookEvent`.
    #[serde(rename = "hookEvent", skip_serializing_if = "Option::is_none")]
    pub hook_event: Option<serde_json::Value>,
    /// The key `source`.
    #[serde(rename = "source", skip_serializing_if = "Option::is_none")]
    pub source: Option<serde_json::Value>,
    /// The key `clientTimestamp`.
    #[serde(rename = "clientTimestamp", skip_serializing_if = "Option::is_none")]
    pub client_timestamp: Option<String>,
    /// The key `metadata`.
    #[serde(rename = "metadata", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Keys that the taxonomy does not name.
    #[serde(flatten)]
    pub other: serde_json::Map<String, serde_json::Value>,
}

impl ToolUsed {
    /// The name in the log.
    pub const NAME: &'static str = "tool_used";

    /// With the keys that it must have.
    pub fn new(tool_name: impl Into<String>) -> Self {
        ToolUsed {
            tool_name: tool_name.into(),
            skill_id: None,
            skill_name: None,
            hook_event: None,
            source: None,
            client_timestamp: None,
            metadata: None,
            other: serde_json::Map::new(),
        }
    }

    /// The event, to log with eventlog_writer.
    pub fn event(&self) -> eventlog_writer::Event {
        eventlog_writer::Event::new(Self::NAME).data(self)
    }
}
