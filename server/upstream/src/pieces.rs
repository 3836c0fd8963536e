//! Vectors for more inputs than a host takes at once: asked in pieces, answered as one.

use std::sync::Arc;

use futures_util::StreamExt;
use headworks_core::{Batch, Begun, EmbedRequest, Event, EventKind, Fault, FinishReason, Str, Target, Tokens};
use headworks_providers::{Dialect, fault};

/// How many pieces are under way at once.
pub(crate) const AT_ONCE: usize = 4;

/// The request cut so that no piece is more than the host takes, in inputs and in the most tokens they can be.
/// An input that is too large by itself stands alone: the host says so.
pub(crate) fn cut(codec: &dyn Dialect, target: &Target, request: &Arc<EmbedRequest>) -> Vec<Arc<EmbedRequest>> {
    let most_inputs = codec.embed_inputs(target).max(1);
    let most_tokens = target.host.quirks.embed.tokens.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let total: usize = request.inputs.iter().map(|input| input.most_tokens()).fold(0, usize::saturating_add);
    if request.inputs.len() <= most_inputs && total <= most_tokens {
        return vec![request.clone()];
    }
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut tokens = 0_usize;
    for input in &request.inputs {
        let size = input.most_tokens();
        if !piece.is_empty() && (piece.len() >= most_inputs || tokens.saturating_add(size) > most_tokens) {
            pieces.push(part(request, std::mem::take(&mut piece)));
            tokens = 0;
        }
        piece.push(input.clone());
        tokens = tokens.saturating_add(size);
    }
    pieces.push(part(request, piece));
    pieces
}

fn part(request: &EmbedRequest, inputs: Vec<headworks_core::EmbedInput>) -> Arc<EmbedRequest> {
    Arc::new(EmbedRequest { inputs, original: None, ..without_inputs(request) })
}

fn without_inputs(request: &EmbedRequest) -> EmbedRequest {
    EmbedRequest {
        model: request.model.clone(),
        inputs: Vec::new(),
        single: request.single,
        dimensions: request.dimensions,
        encoding: request.encoding,
        purpose: request.purpose.clone(),
        metadata: request.metadata.clone(),
        user: request.user.clone(),
        routing: request.routing.clone(),
        extra: request.extra.clone(),
        extra_dialect: request.extra_dialect,
        original: None,
    }
}

/// Reads a piece's answer to its end.
pub(crate) async fn read(begun: Begun, target: &Target, inputs: usize) -> Result<Piece, Fault> {
    let mut piece = Piece { status: begun.status, notes: begun.notes, model: None, vectors: Vec::with_capacity(inputs), tokens: None };
    let mut events = begun.events;
    while let Some(batch) = events.next().await {
        for event in batch?.events {
            match event.kind {
                EventKind::Started { model, .. } => piece.model = model,
                EventKind::Embedded { .. } => piece.vectors.push(event),
                EventKind::Usage { tokens, .. } => piece.tokens = Some(tokens),
                _ => {}
            }
        }
    }
    let mut seen = vec![false; inputs];
    for event in &piece.vectors {
        let EventKind::Embedded { index, .. } = &event.kind else { continue };
        match seen.get_mut(*index as usize) {
            Some(seen) if !*seen => *seen = true,
            _ => return Err(miscounted(target, inputs, piece.vectors.len())),
        }
    }
    if seen.iter().any(|seen| !seen) {
        return Err(miscounted(target, inputs, piece.vectors.len()));
    }
    Ok(piece)
}

fn miscounted(target: &Target, inputs: usize, vectors: usize) -> Fault {
    fault::garbled(target, &format!("the answer does not hold one vector for each input: {vectors} for {inputs}"))
}

/// What a piece gave.
pub(crate) struct Piece {
    pub status: u16,
    pub notes: Vec<Arc<str>>,
    pub model: Option<Str>,
    pub vectors: Vec<Event>,
    pub tokens: Option<Tokens>,
}

/// The pieces as one answer. Tokens are told only where every piece told them.
pub(crate) fn join(pieces: Vec<(usize, Piece)>) -> Begun {
    let mut batch = Batch::default();
    let mut notes: Vec<Arc<str>> = Vec::new();
    let mut tokens = Some(Tokens::default());
    let status = pieces.first().map_or(200, |(_, piece)| piece.status);
    let model = pieces.iter().find_map(|(_, piece)| piece.model.clone());
    batch.push(EventKind::Started { id: None, model, created: None });
    for (offset, piece) in pieces {
        for note in piece.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        tokens = match (tokens, piece.tokens) {
            (Some(mut sum), Some(more)) => {
                sum += more;
                Some(sum)
            }
            _ => None,
        };
        for event in piece.vectors {
            if let EventKind::Embedded { index, vector } = event.kind {
                batch.push(EventKind::Embedded { index: index.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX)), vector });
            }
        }
    }
    if let Some(tokens) = tokens {
        batch.push(EventKind::Usage { tokens, service_tier: None });
    }
    batch.push(EventKind::Finished(FinishReason::Stop));
    Begun { status, notes, events: Box::pin(futures_util::stream::iter([Ok(batch)])) }
}

/// What the pieces that were answered cost.
pub(crate) fn spent<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Option<Box<Tokens>> {
    let mut sum = Tokens::default();
    for piece in pieces {
        sum += piece.tokens.unwrap_or_default();
    }
    (sum != Tokens::default()).then(|| Box::new(sum))
}
