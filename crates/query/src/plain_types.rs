//! Parquet for every reader: the Arrow schema that stands in a file names no views.
//!
//! Lakehead's texts are Arrow views. In Parquet a text is a text; but readers that know Arrow take the types that a file's
//! Arrow schema names, and in 2026 pandas 3.1 cannot have views inside of lists, nor many functions of PyArrow 26 views at
//! all. The rows are the same bytes either way.

use std::{fs::File, io::Write, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef},
    parquet::{
        arrow::{
            ArrowWriter, add_encoded_arrow_schema_to_metadata,
            arrow_reader::{
                ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
            },
            arrow_writer::ArrowWriterOptions,
        },
        file::properties::WriterProperties,
    },
};

use crate::error::Error;

/// A writer of rows of `schema` whose file names plain types.
pub(crate) fn writer<W: Write + Send>(
    out: W,
    schema: &SchemaRef,
    mut properties: WriterProperties,
) -> Result<ArrowWriter<W>, Error> {
    let plain: Fields = schema.fields().iter().map(plain).collect();
    let plain = Schema::new_with_metadata(plain, schema.metadata().clone());
    add_encoded_arrow_schema_to_metadata(&plain, &mut properties);
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(out, Arc::clone(schema), options)?)
}

/// A reader of such a file that gives the types of `schema` again. Where the file has others it gives those.
pub(crate) fn reader(file: File, schema: &SchemaRef) -> Result<ParquetRecordBatchReader, Error> {
    Ok(builder(file, schema)?.build()?)
}

/// As [`reader`], for the last `rows` rows.
pub(crate) fn reader_of_last(file: File, schema: &SchemaRef, rows: usize) -> Result<ParquetRecordBatchReader, Error> {
    let builder = builder(file, schema)?;
    let all = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    Ok(builder.with_offset(all.saturating_sub(rows)).with_limit(rows).build()?)
}

fn builder(file: File, schema: &SchemaRef) -> Result<ParquetRecordBatchReaderBuilder<File>, Error> {
    let about = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
    let own = |field: &FieldRef| match schema.field_with_name(field.name()) {
        Ok(own) if plain(&Arc::new(own.clone())).data_type() == field.data_type() => {
            Arc::new(Field::clone(field).with_data_type(own.data_type().clone()))
        }
        _ => Arc::clone(field),
    };
    let fields: Fields = about.schema().fields().iter().map(own).collect();
    let own = Arc::new(Schema::new_with_metadata(fields, about.schema().metadata().clone()));
    let about = ArrowReaderMetadata::try_new(Arc::clone(about.metadata()), ArrowReaderOptions::new().with_schema(own))?;
    Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, about))
}

fn plain(field: &FieldRef) -> FieldRef {
    let plain_type = match field.data_type() {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(item) => DataType::List(plain(item)),
        DataType::LargeList(item) => DataType::LargeList(plain(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(plain(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain(entries), *sorted),
        _ => return Arc::clone(field),
    };
    Arc::new(Field::clone(field).with_data_type(plain_type))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::{
        array::{ArrayRef, ListBuilder, RecordBatch, StringViewArray, StringViewBuilder},
        datatypes::TimeUnit,
    };

    use super::*;

    #[test]
    fn a_file_names_no_views_wherever_they_are() {
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        lists.values().append_value("in a list");
        lists.append(true);
        let columns: Vec<ArrayRef> =
            vec![Arc::new(StringViewArray::from_iter([Some("a text")])), Arc::new(lists.finish())];
        let fields = columns.iter().enumerate().map(|(n, c)| Field::new(format!("{n}"), c.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let file = tempfile::tempfile().expect("a file");
        let properties = WriterProperties::builder().build();
        let mut writer = writer(file.try_clone().expect("a handle"), &schema, properties).expect("a writer");
        let rows = RecordBatch::try_new(Arc::clone(&schema), columns).expect("rows");
        writer.write(&rows).expect("written");
        writer.close().expect("closed");

        let again = reader(file.try_clone().expect("a handle"), &schema).expect("a reader").next();
        assert_eq!(again.expect("a batch").expect("rows"), rows);
        let read = ParquetRecordBatchReaderBuilder::try_new(file).expect("a reader").schema().clone();
        assert_eq!(*read.field(0).data_type(), DataType::Utf8);
        let DataType::List(item) = read.field(1).data_type() else { panic!("{read:?}") };
        assert_eq!(*item.data_type(), DataType::Utf8);
        // Whatever else there is stays what it was.
        let time: FieldRef =
            Arc::new(Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true));
        assert_eq!(plain(&time), time);
    }
}
