//! The small model that templates see: everything a client needs to know of the schema, names decided.

use std::collections::BTreeMap;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use serde::Serialize;

use crate::{Failure, config::Config, load::Loaded, names};

/// The whole schema.
#[derive(Serialize)]
pub struct Schema {
    /// Its package.
    pub package: String,
    /// Services, by file.
    pub services: Vec<Service>,
    /// Messages, nested ones after their outer one.
    pub messages: Vec<Message>,
    /// Enums.
    pub enums: Vec<Enum>,
    /// The files, as `chat_service`.
    pub stems: Vec<String>,
    /// Whether it has the chats and streams that the hand-written helpers stand on.
    pub chat: bool,
}

/// A service.
#[derive(Serialize)]
pub struct Service {
    /// As in the schema: `KeyService`.
    pub name: String,
    /// What clients call it: `keys`, `Keys`.
    pub snake: String,
    /// The same in camel case.
    pub camel: String,
    /// The same in Pascal case.
    pub pascal: String,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// Stem of its file.
    pub stem: String,
    /// Its methods.
    pub methods: Vec<Method>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
}

/// A method.
#[derive(Serialize)]
pub struct Method {
    /// As in the schema.
    pub name: String,
    /// `/headworks.v1.KeyService/GetKey`
    pub path: String,
    /// Its name in each language.
    pub python: String,
    /// In TypeScript.
    pub typescript: String,
    /// In the stubs of TypeScript.
    pub camel: String,
    /// In Java.
    pub java: String,
    /// In Rust.
    pub rust: String,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// First sentence of the comment.
    pub summary: String,
    /// Request.
    pub input: TypeName,
    /// Response.
    pub output: TypeName,
    /// Whether the response is a stream.
    pub streaming: bool,
    /// Whether the request is one: those are left to the stubs.
    pub client_streaming: bool,
    /// Whether making it twice is the same as making it once.
    pub idempotent: bool,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
    /// The request's fields.
    pub fields: Vec<Field>,
    /// The request's only field, where its own fields are given in its place.
    pub spread: Option<Spread>,
    /// How its pages are walked.
    pub page: Option<Page>,
}

/// A request that is but a wrapper.
#[derive(Serialize)]
pub struct Spread {
    /// The field that is filled.
    pub field: Field,
    /// The fields given in its place.
    pub fields: Vec<Field>,
}

/// How pages are walked.
#[derive(Serialize)]
pub struct Page {
    /// The repeated field of the response.
    pub items: Field,
}

/// A message's name in each language.
#[derive(Clone, Serialize)]
pub struct TypeName {
    /// As in the schema, outer messages before it: `Outer.Inner`.
    pub name: String,
    /// `Outer.Inner` without its outer ones.
    pub top: String,
    /// `Outer_Inner`
    pub flat: String,
    /// `outer::Inner`
    pub rust: String,
    /// `Outer.Inner`
    pub dotted: String,
}

/// A message.
#[derive(Serialize)]
pub struct Message {
    /// Its name.
    pub r#type: TypeName,
    /// Whether it stands inside another.
    pub nested: bool,
    /// Whether it is the request or response of a method.
    pub envelope: bool,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// Stem of its file.
    pub stem: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
}

/// A field.
#[derive(Clone, Serialize)]
pub struct Field {
    /// As in the schema.
    pub name: String,
    /// `pageSize`
    pub camel: String,
    /// `PageSize`
    pub pascal: String,
    /// In Rust.
    pub rust: String,
    /// As a Python parameter.
    pub python: String,
    /// The parameter's type.
    pub python_type: String,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// For people: `repeated string`, `map<string, int64>`.
    pub kind: String,
    /// The message or enum it holds.
    pub r#type: Option<TypeName>,
    /// Whether that is an enum.
    pub enumeration: bool,
    /// Whether absent differs from zero.
    pub optional: bool,
    /// Whether it is a list.
    pub repeated: bool,
    /// Whether it is a map.
    pub map: bool,
    /// The oneof it is a choice of.
    pub oneof: Option<String>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
}

/// An enum.
#[derive(Serialize)]
pub struct Enum {
    /// Its name.
    pub r#type: TypeName,
    /// Whether it stands inside a message.
    pub nested: bool,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// Stem of its file.
    pub stem: String,
    /// Its values.
    pub values: Vec<Value>,
}

/// A value of an enum.
#[derive(Serialize)]
pub struct Value {
    /// As in the schema: `KEY_ROLE_ADMIN`.
    pub name: String,
    /// Without the enum's name: `ADMIN`.
    pub short: String,
    /// `Admin`
    pub pascal: String,
    /// Number on the wire.
    pub number: i32,
    /// Comment, by line.
    pub doc: Vec<String>,
    /// Whether it is marked as deprecated.
    pub deprecated: bool,
}

/// Comments of one file, by path.
struct Comments<'a>(BTreeMap<&'a [i32], &'a str>);

impl Comments<'_> {
    fn at(&self, path: &[i32]) -> Vec<String> {
        let text = self.0.get(path).copied().unwrap_or_default();
        text.trim().lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()).collect()
    }
}

struct Builder<'a> {
    config: &'a Config,
    package: String,
    messages: BTreeMap<String, &'a DescriptorProto>,
}

/// Reads the model out of a descriptor set.
pub fn model(loaded: &Loaded, config: &Config) -> Result<Schema, Failure> {
    let files: Vec<&FileDescriptorProto> = loaded.set.file.iter().filter(|file| loaded.names.iter().any(|name| name == file.name())).collect();
    let package = files.first().map(|file| file.package().to_owned()).unwrap_or_default();
    let mut builder = Builder { config, package: package.clone(), messages: BTreeMap::new() };
    for file in &loaded.set.file {
        for message in &file.message_type {
            index(&mut builder.messages, &format!(".{}.{}", file.package(), message.name()), message);
        }
    }
    let mut schema = Schema { package, services: Vec::new(), messages: Vec::new(), enums: Vec::new(), stems: Vec::new(), chat: false };
    for file in files {
        if file.package() != schema.package {
            return Err(format!("{}: package {} where {} was expected", file.name(), file.package(), schema.package).into());
        }
        let info = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments = Comments(info.filter_map(|l| l.leading_comments.as_deref().map(|text| (l.path.as_slice(), text))).collect());
        let stem = file.name().rsplit('/').next().and_then(|n| n.strip_suffix(".proto")).unwrap_or_default().to_owned();
        for (at, message) in file.message_type.iter().enumerate() {
            builder.message(message, "", &[4, number(at)], &stem, &comments, &mut schema)?;
        }
        for (at, one) in file.enum_type.iter().enumerate() {
            schema.enums.push(builder.r#enum(one, "", &[5, number(at)], &stem, &comments));
        }
        for (at, service) in file.service.iter().enumerate() {
            schema.services.push(builder.service(service, number(at), &stem, &comments)?);
        }
        schema.stems.push(stem);
    }
    for method in schema.services.iter().flat_map(|service| &service.methods) {
        for message in schema.messages.iter_mut().filter(|m| m.r#type.name == method.input.name || m.r#type.name == method.output.name) {
            message.envelope = true;
        }
    }
    schema.chat = ["Chat", "ChatReply", "StreamEvent"].iter().all(|name| schema.messages.iter().any(|m| m.r#type.name == *name));
    Ok(schema)
}

fn index<'a>(messages: &mut BTreeMap<String, &'a DescriptorProto>, name: &str, message: &'a DescriptorProto) {
    messages.insert(name.to_owned(), message);
    for nested in &message.nested_type {
        index(messages, &format!("{name}.{}", nested.name()), nested);
    }
}

fn number(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}

fn type_name(name: &str) -> TypeName {
    let mut parts: Vec<&str> = name.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let rust = parts.iter().map(|part| format!("{}::", names::rust(part))).collect::<String>() + &names::pascal(last);
    TypeName { name: name.to_owned(), top: name.split('.').next().unwrap_or_default().to_owned(), flat: name.replace('.', "_"), rust, dotted: name.to_owned() }
}

impl<'a> Builder<'a> {
    /// Name of a message of ours, or nothing for one of another package.
    fn ours(&self, full: &str) -> Option<TypeName> {
        full.strip_prefix(&format!(".{}.", self.package)).map(type_name)
    }

    fn message(&self, message: &DescriptorProto, outer: &str, path: &[i32], stem: &str, comments: &Comments<'_>, schema: &mut Schema) -> Result<(), Failure> {
        let options = message.options.clone().unwrap_or_default();
        if options.map_entry() {
            return Ok(());
        }
        let name = format!("{outer}{}", message.name());
        let fields = message.field.iter().enumerate().map(|(at, field)| self.field(message, field, comments.at(&join(path, &[2, number(at)]))));
        schema.messages.push(Message {
            r#type: type_name(&name),
            nested: !outer.is_empty(),
            envelope: false,
            doc: comments.at(path),
            stem: stem.to_owned(),
            fields: fields.collect::<Result<_, _>>()?,
            deprecated: options.deprecated(),
        });
        for (at, nested) in message.nested_type.iter().enumerate() {
            self.message(nested, &format!("{name}."), &join(path, &[3, number(at)]), stem, comments, schema)?;
        }
        for (at, one) in message.enum_type.iter().enumerate() {
            schema.enums.push(self.r#enum(one, &format!("{name}."), &join(path, &[4, number(at)]), stem, comments));
        }
        Ok(())
    }

    fn r#enum(&self, one: &EnumDescriptorProto, outer: &str, path: &[i32], stem: &str, comments: &Comments<'_>) -> Enum {
        let prefix = names::snake(one.name()).to_uppercase() + "_";
        let values = one.value.iter().enumerate().map(|(at, value)| {
            let short = value.name().strip_prefix(&prefix).unwrap_or(value.name()).to_owned();
            Value {
                name: value.name().to_owned(),
                pascal: names::pascal(&short.to_lowercase()),
                short,
                number: value.number(),
                doc: comments.at(&join(path, &[2, number(at)])),
                deprecated: value.options.as_ref().is_some_and(|o| o.deprecated()),
            }
        });
        Enum {
            r#type: type_name(&format!("{outer}{}", one.name())),
            nested: !outer.is_empty(),
            doc: comments.at(path),
            stem: stem.to_owned(),
            values: values.collect(),
        }
    }

    fn field(&self, message: &DescriptorProto, field: &FieldDescriptorProto, doc: Vec<String>) -> Result<Field, Failure> {
        let (mut kind, mut python) = self.kinds(field)?;
        let repeated = field.label() == Label::Repeated;
        let entry = self.messages.get(field.type_name()).filter(|m| m.options.as_ref().is_some_and(|o| o.map_entry()));
        if let Some(entry) = entry {
            let halves = entry.field.iter().map(|half| self.kinds(half)).collect::<Result<Vec<_>, _>>()?;
            let [(key, python_key), (value, python_value)] = halves.as_slice() else { return Err("a map entry without two fields".into()) };
            kind = format!("map<{key}, {value}>");
            python = format!("Mapping[{python_key}, {python_value}]");
        } else if repeated {
            kind = format!("repeated {kind}");
            python = format!("Sequence[{python}]");
        }
        let oneof = field.oneof_index.filter(|_| !field.proto3_optional()).and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?));
        Ok(Field {
            name: field.name().to_owned(),
            camel: names::camel(field.name()),
            pascal: names::pascal(field.name()),
            rust: names::rust(field.name()),
            python: names::python(field.name()),
            python_type: python,
            doc,
            kind,
            r#type: self.ours(field.type_name()).filter(|_| entry.is_none()),
            enumeration: field.r#type() == Type::Enum,
            optional: field.proto3_optional(),
            repeated: repeated && entry.is_none(),
            map: entry.is_some(),
            oneof: oneof.map(|o| o.name().to_owned()),
            deprecated: field.options.as_ref().is_some_and(|o| o.deprecated()),
        })
    }

    /// The kind for people and the type of the Python parameter.
    fn kinds(&self, field: &FieldDescriptorProto) -> Result<(String, String), Failure> {
        let (kind, python) = match field.r#type() {
            Type::Double => ("double", "float"),
            Type::Float => ("float", "float"),
            Type::Int64 | Type::Sint64 | Type::Sfixed64 => ("int64", "int"),
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => ("int32", "int"),
            Type::Uint64 | Type::Fixed64 => ("uint64", "int"),
            Type::Uint32 | Type::Fixed32 => ("uint32", "int"),
            Type::Bool => ("bool", "bool"),
            Type::String => ("string", "str"),
            Type::Bytes => ("bytes", "bytes"),
            Type::Group => return Err(format!("{}: groups are not supported", field.name()).into()),
            Type::Message | Type::Enum => {
                let full = field.type_name();
                return Ok(match (full, self.ours(full)) {
                    (".google.protobuf.Duration", _) => ("Duration".into(), "timedelta".into()),
                    (".google.protobuf.Timestamp", _) => ("Timestamp".into(), "datetime".into()),
                    (".google.protobuf.FieldMask", _) => ("FieldMask".into(), "Sequence[str]".into()),
                    (_, Some(name)) if field.r#type() == Type::Enum => (name.name.clone(), format!("v1.{}.ValueType", name.dotted)),
                    (_, Some(name)) => (name.name.clone(), format!("v1.{}", name.dotted)),
                    _ => return Err(format!("{}: type {full} is outside the schema", field.name()).into()),
                });
            }
        };
        Ok((kind.to_owned(), python.to_owned()))
    }

    fn service(&self, service: &ServiceDescriptorProto, at: i32, stem: &str, comments: &Comments<'_>) -> Result<Service, Failure> {
        let called = self.config.services.get(service.name()).cloned();
        let called = called.unwrap_or_else(|| service.name().strip_suffix("Service").unwrap_or(service.name()).to_owned());
        let methods = service.method.iter().enumerate().map(|(index, method)| self.method(service.name(), method, comments.at(&[6, at, 2, number(index)])));
        Ok(Service {
            name: service.name().to_owned(),
            snake: names::python(&called),
            camel: names::typescript(&called),
            pascal: names::pascal(&called),
            doc: comments.at(&[6, at]),
            stem: stem.to_owned(),
            methods: methods.collect::<Result<_, _>>()?,
            deprecated: service.options.as_ref().is_some_and(|o| o.deprecated()),
        })
    }

    fn fields(&self, full: &str) -> Result<Vec<Field>, Failure> {
        let message = self.messages.get(full).ok_or_else(|| format!("no message {full}"))?;
        message.field.iter().map(|field| self.field(message, field, Vec::new())).collect()
    }

    fn method(&self, service: &str, method: &MethodDescriptorProto, doc: Vec<String>) -> Result<Method, Failure> {
        let known = |full: &str| self.ours(full).ok_or_else(|| format!("{service}.{}: {full} is outside the schema", method.name()));
        let fields = self.fields(method.input_type())?;
        let spread = match fields.as_slice() {
            [only] if only.r#type.as_ref().is_some_and(|t| self.config.spread.contains(&t.name)) && !only.repeated => {
                let full = format!(".{}.{}", self.package, only.r#type.as_ref().map(|t| t.name.as_str()).unwrap_or_default());
                Some(Spread { field: only.clone(), fields: self.fields(&full)? })
            }
            _ => None,
        };
        let answer = self.fields(method.output_type())?;
        let has = |fields: &[Field], name: &str| fields.iter().any(|field| field.name == name);
        let paged = has(&fields, "page_token") && has(&answer, "next_page_token");
        let page = paged.then(|| answer.into_iter().find(|field| field.repeated && field.r#type.is_some())).flatten().map(|items| Page { items });
        let verb = names::snake(method.name());
        let verb = verb.split('_').next().unwrap_or_default();
        Ok(Method {
            name: method.name().to_owned(),
            path: format!("/{}.{service}/{}", self.package, method.name()),
            python: names::python(method.name()),
            typescript: names::typescript(method.name()),
            camel: names::camel(method.name()),
            java: names::java(method.name()),
            rust: names::rust(method.name()),
            summary: doc.join(" ").split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned(),
            doc,
            input: known(method.input_type())?,
            output: known(method.output_type())?,
            streaming: method.server_streaming(),
            client_streaming: method.client_streaming(),
            idempotent: self.config.idempotent_verbs.iter().any(|one| one == verb),
            deprecated: method.options.as_ref().is_some_and(|o| o.deprecated()),
            fields,
            spread,
            page,
        })
    }
}

fn join(path: &[i32], more: &[i32]) -> Vec<i32> {
    [path, more].concat()
}
