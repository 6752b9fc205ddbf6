/* Pascal VOC XML, from text to Python objects.
 *
 * The Python implementation is boxwright_voc.xml.
 */

#include "speedups.h"

#define KEPT 4096        /* entries of a table that is kept from call to call */
#define LONGEST_KEPT 128 /* bytes of a text that is kept in such a table */

typedef struct {
    const char *at;
    const char *end;
} Text;

typedef struct {
    const char *start;
    Py_ssize_t size; /* -1: missing */
} Span;

static const Span NONE = {NULL, -1};

static inline void
skip_gap(Text *text)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' || *text->at == '\t' || *text->at == '\r')) {
        text->at++;
    }
}

static inline int
is_next(const Text *text, const char *word, size_t size)
{
    return (size_t)(text->end - text->at) >= size && memcmp(text->at, word, size) == 0;
}

static inline int
take(Text *text, const char *word, size_t size)
{
    if (!is_next(text, word, size)) {
        return 0;
    }
    text->at += size;
    return 1;
}

#define NEXT(text, word) is_next(text, word, sizeof(word) - 1)
#define TAKE(text, word) take(text, word, sizeof(word) - 1)
#define OPEN(text, tag) (TAKE(text, "<" tag ">") && (skip_gap(text), 1))
#define CLOSE(text, tag) (TAKE(text, "</" tag ">") && (skip_gap(text), 1))
#define ELEMENT(text, tag, span) (TAKE(text, "<" tag ">") && take_plain(text, span) && CLOSE(text, tag))

/* The text up to the next tag, if it contains no markup and has no white space at either end. */
static int
take_plain(Text *text, Span *span)
{
    const unsigned char *start = (const unsigned char *)text->at;
    const unsigned char *end = (const unsigned char *)text->end;
    const unsigned char *at = start;
    while (at < end && *at != '<') {
        if (*at < 0x20 || *at == '>' || *at == '&' || *at == ']') {
            return 0;
        }
        if (*at == 0xEF && end - at > 2 && at[1] == 0xBF && at[2] >= 0xBE) { /* U+FFFE and U+FFFF */
            return 0;
        }
        at++;
    }
    if (at == end || (at > start && (*start == ' ' || at[-1] == ' '))) {
        return 0;
    }
    span->start = text->at;
    span->size = at - start;
    text->at = (const char *)at;
    return 1;
}

/* One or more letters and digits. */
static int
take_word(Text *text, Span *span)
{
    span->start = text->at;
    while (text->at < text->end
           && ((*text->at >= 'a' && *text->at <= 'z') || (*text->at >= 'A' && *text->at <= 'Z')
               || (*text->at >= '0' && *text->at <= '9'))) {
        text->at++;
    }
    span->size = text->at - span->start;
    return span->size > 0;
}

static int
is_text(const Span *span, const char *word)
{
    return span->size == (Py_ssize_t)strlen(word) && memcmp(span->start, word, (size_t)span->size) == 0;
}

/* The value of 0, or of up to nine digits that do not begin with 0; -1 for any other text. */
static long
small_number(const Span *span, int zeros)
{
    long value = 0;
    if (span->size < 1 || span->size > 9 || (!zeros && span->size > 1 && span->start[0] == '0')) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < span->size; i++) {
        if (span->start[i] < '0' || span->start[i] > '9') {
            return -1;
        }
        value = value * 10 + (span->start[i] - '0');
    }
    return value;
}

/* A coordinate: -?[0-9]{1,12}(\.[0-9]{1,17})? */
static int
coordinate_number(const Span *span, double *coordinate)
{
    const char *at = span->start, *end = span->start + span->size;
    int negative = at < end && *at == '-';
    double value = 0.0;
    const char *digits;
    at += negative;
    for (digits = at; at < end && *at >= '0' && *at <= '9'; at++) {
        value = value * 10.0 + (*at - '0'); /* exact: at most twelve digits */
        if (at - digits >= 12) {
            return 0;
        }
    }
    if (at == digits) {
        return 0;
    }
    if (at < end) {
        char copy[32]; /* 1 + 12 + 1 + 17 and the final zero */
        if (*at++ != '.') {
            return 0;
        }
        for (digits = at; at < end; at++) {
            if (*at < '0' || *at > '9' || at - digits >= 17) {
                return 0;
            }
        }
        if (at == digits) {
            return 0;
        }
        memcpy(copy, span->start, (size_t)span->size);
        copy[span->size] = '\0';
        value = PyOS_string_to_double(copy, NULL, NULL);
        if (value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
        *coordinate = value;
        return 1;
    }
    *coordinate = negative ? -value : value;
    return 1;
}

enum { UNKNOWN_LAYOUT, USUAL, VOC_2008, ROBOFLOW };

typedef struct {
    Span name, pose;
    int has_occluded;
    long truncated, difficult, occluded;
    double coordinates[4]; /* xmin, ymin, xmax, ymax */
    int layout;
} Object;

static int
take_coordinate(Text *text, const char *opening, const char *closing, double *coordinate)
{
    Span span;
    if (!take(text, opening, strlen(opening)) || !take_plain(text, &span) || !take(text, closing, strlen(closing))) {
        return 0;
    }
    skip_gap(text);
    return coordinate_number(&span, coordinate);
}

#define COORDINATE(text, tag, coordinate) take_coordinate(text, "<" tag ">", "</" tag ">", coordinate)

static int
take_flag(Text *text, const char *opening, const char *closing, long *flag)
{
    Span span;
    if (!take(text, opening, strlen(opening)) || !take_plain(text, &span) || !take(text, closing, strlen(closing))) {
        return 0;
    }
    skip_gap(text);
    *flag = small_number(&span, 0);
    return *flag >= 0;
}

#define FLAG(text, tag, flag) take_flag(text, "<" tag ">", "</" tag ">", flag)

static int
take_object(Text *text, Object *object)
{
    double *coordinates = object->coordinates;
    object->occluded = 0;
    object->has_occluded = 0;
    object->layout = USUAL;
    if (!OPEN(text, "object") || !ELEMENT(text, "name", &object->name) || object->name.size == 0
        || !ELEMENT(text, "pose", &object->pose) || !FLAG(text, "truncated", &object->truncated)) {
        return 0;
    }
    if (NEXT(text, "<occluded>")) {
        object->layout = VOC_2008;
        if (!FLAG(text, "occluded", &object->occluded)) {
            return 0;
        }
    }
    else {
        if (!FLAG(text, "difficult", &object->difficult)) {
            return 0;
        }
        object->has_occluded = NEXT(text, "<occluded>");
        if (object->has_occluded && !FLAG(text, "occluded", &object->occluded)) {
            return 0;
        }
    }
    if (!OPEN(text, "bndbox") || !COORDINATE(text, "xmin", &coordinates[0])) {
        return 0;
    }
    if (NEXT(text, "<ymin>")) {
        if (!COORDINATE(text, "ymin", &coordinates[1]) || !COORDINATE(text, "xmax", &coordinates[2])
            || !COORDINATE(text, "ymax", &coordinates[3])) {
            return 0;
        }
    }
    else {
        object->layout = object->has_occluded ? ROBOFLOW : UNKNOWN_LAYOUT;
        if (!COORDINATE(text, "xmax", &coordinates[2]) || !COORDINATE(text, "ymin", &coordinates[1])
            || !COORDINATE(text, "ymax", &coordinates[3])) {
            return 0;
        }
    }
    if (!CLOSE(text, "bndbox")) {
        return 0;
    }
    if (object->layout == VOC_2008 && !FLAG(text, "difficult", &object->difficult)) {
        return 0;
    }
    return object->layout != UNKNOWN_LAYOUT && CLOSE(text, "object");
}

static PyObject *
as_text(const Span *span)
{
    PyObject *text = PyUnicode_DecodeUTF8(span->start, span->size, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
    }
    return text;
}

/* The string object that all boxes of a class share. */
static PyObject *
shared_label(State *state, const Span *span)
{
    PyObject *label = as_text(span), *kept;
    if (label == NULL || span->size > LONGEST_KEPT) {
        return label;
    }
    kept = PyDict_GetItemWithError(state->labels, label);
    if (kept != NULL) {
        Py_INCREF(kept);
        Py_DECREF(label);
        return kept;
    }
    if (PyErr_Occurred() || (PyDict_Size(state->labels) < KEPT && PyDict_SetItem(state->labels, label, label) < 0)) {
        Py_DECREF(label);
        return NULL;
    }
    return label;
}

static int
put_number(PyObject *attributes, PyObject *name, long value)
{
    int failed;
    PyObject *number = PyLong_FromLong(value);
    if (number == NULL) {
        return -1;
    }
    failed = PyDict_SetItem(attributes, name, number);
    Py_DECREF(number);
    return failed;
}

/* Sets a text, unless it is missing, empty or the default. */
static int
put_text(PyObject *attributes, PyObject *name, const Span *span, const char *usual)
{
    int failed;
    PyObject *text;
    if (span->size <= 0 || is_text(span, usual)) {
        return 0;
    }
    text = as_text(span);
    if (text == NULL) {
        return -1;
    }
    failed = PyDict_SetItem(attributes, name, text);
    Py_DECREF(text);
    return failed;
}

static PyObject *
new_attributes(State *state, const Object *object)
{
    PyObject *proxy, *attributes = PyDict_New();
    if (attributes == NULL) {
        return NULL;
    }
    if (put_text(attributes, state->names[POSE], &object->pose, "Unspecified") < 0
        || (object->truncated && put_number(attributes, state->names[TRUNCATED], object->truncated) < 0)
        || (object->difficult && put_number(attributes, state->names[DIFFICULT], object->difficult) < 0)
        || (object->occluded && put_number(attributes, state->names[OCCLUDED], object->occluded) < 0)) {
        Py_DECREF(attributes);
        return NULL;
    }
    proxy = PyDictProxy_New(attributes);
    Py_DECREF(attributes);
    return proxy;
}

/* A box's attributes as a read-only mapping, shared by boxes with the same values. */
static PyObject *
shared_attributes(State *state, const Object *object)
{
    PyObject *key, *kept;
    if (is_text(&object->pose, "Unspecified") || object->pose.size == 0) {
        if ((object->truncated | object->difficult | object->occluded) <= 1) {
            PyObject **place = &state->flags[object->truncated << 2 | object->difficult << 1 | object->occluded];
            if (*place == NULL) {
                *place = new_attributes(state, object);
            }
            Py_XINCREF(*place);
            return *place;
        }
        key = Py_BuildValue("(Olll)", Py_None, object->truncated, object->difficult, object->occluded);
    }
    else {
        PyObject *pose = as_text(&object->pose);
        if (pose == NULL) {
            return NULL;
        }
        key = Py_BuildValue("(Nlll)", pose, object->truncated, object->difficult, object->occluded);
    }
    if (key == NULL) {
        return NULL;
    }
    kept = PyDict_GetItemWithError(state->attributes, key);
    if (kept != NULL) {
        Py_INCREF(kept);
    }
    else if (!PyErr_Occurred()) {
        kept = new_attributes(state, object);
        if (kept != NULL && object->pose.size <= LONGEST_KEPT && PyDict_Size(state->attributes) < KEPT
            && PyDict_SetItem(state->attributes, key, kept) < 0) {
            Py_CLEAR(kept);
        }
    }
    Py_DECREF(key);
    return kept;
}

static PyObject *
coordinate_tuple(const double *coordinates)
{
    PyObject *box = PyTuple_New(4);
    if (box == NULL) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        PyObject *coordinate = PyFloat_FromDouble(coordinates[i]);
        if (coordinate == NULL) {
            Py_DECREF(box);
            return NULL;
        }
        PyTuple_SetItem(box, i, coordinate);
    }
    return box;
}

typedef struct {
    Span verified, folder, filename, path, database;
    long width, height, depth, segmented;
} Image;

static int
take_image(Text *text, Image *image)
{
    Span width, height, depth, segmented;
    image->verified = image->folder = image->path = NONE;
    if (TAKE(text, "<annotation verified=\"")) {
        if (!take_word(text, &image->verified) || !TAKE(text, "\">")) {
            return 0;
        }
        skip_gap(text);
    }
    else if (!OPEN(text, "annotation")) {
        return 0;
    }
    if (TAKE(text, "<folder/>")) {
        skip_gap(text);
    }
    else if (!ELEMENT(text, "folder", &image->folder)) {
        return 0;
    }
    if (!ELEMENT(text, "filename", &image->filename) || image->filename.size == 0) {
        return 0;
    }
    if (NEXT(text, "<path>") && !ELEMENT(text, "path", &image->path)) {
        return 0;
    }
    if (!OPEN(text, "source") || !ELEMENT(text, "database", &image->database) || !CLOSE(text, "source")
        || !OPEN(text, "size") || !ELEMENT(text, "width", &width) || !ELEMENT(text, "height", &height)
        || !ELEMENT(text, "depth", &depth) || !CLOSE(text, "size") || !ELEMENT(text, "segmented", &segmented)) {
        return 0;
    }
    image->width = small_number(&width, 1);
    image->height = small_number(&height, 1);
    image->depth = small_number(&depth, 0);
    image->segmented = small_number(&segmented, 0);
    return image->width >= 0 && image->height >= 0 && image->depth >= 0 && image->segmented >= 0;
}

static PyObject *
image_attributes(State *state, const Image *image)
{
    PyObject *attributes = PyDict_New();
    if (attributes == NULL) {
        return NULL;
    }
    if (put_text(attributes, state->names[VERIFIED], &image->verified, "") < 0
        || put_text(attributes, state->names[FOLDER], &image->folder, "") < 0
        || put_text(attributes, state->names[PATH], &image->path, "") < 0
        || put_text(attributes, state->names[DATABASE], &image->database, "Unknown") < 0
        || (image->depth != 3 && put_number(attributes, state->names[DEPTH], image->depth) < 0)
        || (image->segmented && put_number(attributes, state->names[SEGMENTED], image->segmented) < 0)) {
        Py_DECREF(attributes);
        return NULL;
    }
    return attributes;
}

static int
append_new(PyObject *list, PyObject *item)
{
    int failed;
    if (item == NULL) {
        return -1;
    }
    failed = PyList_Append(list, item);
    Py_DECREF(item);
    return failed;
}

PyObject *
parse_layout(PyObject *module, PyObject *data)
{
    State *state = PyModule_GetState(module);
    PyObject *labels = NULL, *coordinates = NULL, *rows = NULL, *attributes = NULL, *filename = NULL, *answer = NULL;
    int layout = UNKNOWN_LAYOUT, any = 0;
    Image image;
    Text text;
    char *start;
    Py_ssize_t size;
    if (!PyBytes_CheckExact(data)) {
        Py_RETURN_NONE;
    }
    if (PyBytes_AsStringAndSize(data, &start, &size) < 0) {
        return NULL;
    }
    text.at = start;
    text.end = start + size;
    if (!take_image(&text, &image)) {
        Py_RETURN_NONE;
    }
    labels = PyList_New(0);
    coordinates = PyList_New(0);
    rows = PyList_New(0);
    if (labels == NULL || coordinates == NULL || rows == NULL) {
        goto done;
    }
    while (NEXT(&text, "<object>")) {
        Object object;
        PyObject *row;
        if (!take_object(&text, &object) || (layout != UNKNOWN_LAYOUT && layout != object.layout)) {
            goto done;
        }
        layout = object.layout;
        if (append_new(labels, shared_label(state, &object.name)) < 0
            || append_new(coordinates, coordinate_tuple(object.coordinates)) < 0) {
            goto done;
        }
        row = shared_attributes(state, &object);
        any |= row != state->flags[0];
        if (append_new(rows, row) < 0) {
            goto done;
        }
    }
    if (!CLOSE(&text, "annotation") || text.at != text.end) {
        goto done;
    }
    filename = as_text(&image.filename);
    attributes = filename == NULL ? NULL : image_attributes(state, &image);
    if (attributes == NULL) {
        goto done;
    }
    answer = Py_BuildValue("(OllOOOO)", filename, image.width, image.height, attributes, labels, coordinates,
                           any ? rows : Py_None);
done:
    Py_XDECREF(labels);
    Py_XDECREF(coordinates);
    Py_XDECREF(rows);
    Py_XDECREF(attributes);
    Py_XDECREF(filename);
    if (answer == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return answer;
}
