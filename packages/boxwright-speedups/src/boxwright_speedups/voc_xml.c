/* Pascal VOC XML, read and written as boxwright_voc.xml does. */

#include "speedups.h"

typedef struct {
    const char *at;
    const char *end;
} Text;

typedef struct {
    const char *start;
    Py_ssize_t size; /* -1: there is none */
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

/* What stands up to the next tag, where nothing in it means something in XML and nothing would be stripped off. */
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

/* Letters and digits, at least one. */
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

/* 0, or up to nine digits that do not begin with 0; -1 where the text is neither. */
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

/* An edge: -?[0-9]{1,12}(\.[0-9]{1,17})? */
static int
edge_number(const Span *span, double *edge)
{
    const char *at = span->start, *end = span->start + span->size;
    int negative = at < end && *at == '-';
    double value = 0.0;
    const char *digits;
    at += negative;
    for (digits = at; at < end && *at >= '0' && *at <= '9'; at++) {
        value = value * 10.0 + (*at - '0'); /* exact: twelve digits at most */
        if (at - digits >= 12) {
            return 0;
        }
    }
    if (at == digits) {
        return 0;
    }
    if (at < end) {
        char copy[32]; /* 1 + 12 + 1 + 17 and the end */
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
        *edge = value;
        return 1;
    }
    *edge = negative ? -value : value;
    return 1;
}

enum { UNKNOWN_LAYOUT, USUAL, VOC_2008, ROBOFLOW };

typedef struct {
    Span name, pose;
    int has_occluded;
    long truncated, difficult, occluded;
    double edges[4]; /* xmin, ymin, xmax, ymax */
    int layout;
} Object;

static int
take_edge(Text *text, const char *opening, const char *closing, double *edge)
{
    Span span;
    if (!take(text, opening, strlen(opening)) || !take_plain(text, &span) || !take(text, closing, strlen(closing))) {
        return 0;
    }
    skip_gap(text);
    return edge_number(&span, edge);
}

#define EDGE(text, tag, edge) take_edge(text, "<" tag ">", "</" tag ">", edge)

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
    double *edges = object->edges;
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
    if (!OPEN(text, "bndbox") || !EDGE(text, "xmin", &edges[0])) {
        return 0;
    }
    if (NEXT(text, "<ymin>")) {
        if (!EDGE(text, "ymin", &edges[1]) || !EDGE(text, "xmax", &edges[2]) || !EDGE(text, "ymax", &edges[3])) {
            return 0;
        }
    }
    else {
        object->layout = object->has_occluded ? ROBOFLOW : UNKNOWN_LAYOUT;
        if (!EDGE(text, "xmax", &edges[2]) || !EDGE(text, "ymin", &edges[1]) || !EDGE(text, "ymax", &edges[3])) {
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

/* The one object that stands for a class's name. */
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

/* A text that is there and not empty, nor the default. */
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

/* A box's attributes as a read-only mapping, which boxes of the same ones share. */
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
edges_tuple(const double *edges)
{
    PyObject *box = PyTuple_New(4);
    if (box == NULL) {
        return NULL;
    }
    for (int i = 0; i < 4; i++) {
        PyObject *edge = PyFloat_FromDouble(edges[i]);
        if (edge == NULL) {
            Py_DECREF(box);
            return NULL;
        }
        PyTuple_SetItem(box, i, edge);
    }
    return box;
}

typedef struct {
    Span verified, folder, filename, path, database;
    long width, height, depth, segmented;
} Picture;

static int
take_picture(Text *text, Picture *picture)
{
    Span width, height, depth, segmented;
    picture->verified = picture->folder = picture->path = NONE;
    if (TAKE(text, "<annotation verified=\"")) {
        if (!take_word(text, &picture->verified) || !TAKE(text, "\">")) {
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
    else if (!ELEMENT(text, "folder", &picture->folder)) {
        return 0;
    }
    if (!ELEMENT(text, "filename", &picture->filename) || picture->filename.size == 0) {
        return 0;
    }
    if (NEXT(text, "<path>") && !ELEMENT(text, "path", &picture->path)) {
        return 0;
    }
    if (!OPEN(text, "source") || !ELEMENT(text, "database", &picture->database) || !CLOSE(text, "source")
        || !OPEN(text, "size") || !ELEMENT(text, "width", &width) || !ELEMENT(text, "height", &height)
        || !ELEMENT(text, "depth", &depth) || !CLOSE(text, "size") || !ELEMENT(text, "segmented", &segmented)) {
        return 0;
    }
    picture->width = small_number(&width, 1);
    picture->height = small_number(&height, 1);
    picture->depth = small_number(&depth, 0);
    picture->segmented = small_number(&segmented, 0);
    return picture->width >= 0 && picture->height >= 0 && picture->depth >= 0 && picture->segmented >= 0;
}

static PyObject *
picture_attributes(State *state, const Picture *picture)
{
    PyObject *attributes = PyDict_New();
    if (attributes == NULL) {
        return NULL;
    }
    if (put_text(attributes, state->names[VERIFIED], &picture->verified, "") < 0
        || put_text(attributes, state->names[FOLDER], &picture->folder, "") < 0
        || put_text(attributes, state->names[PATH], &picture->path, "") < 0
        || put_text(attributes, state->names[DATABASE], &picture->database, "Unknown") < 0
        || (picture->depth != 3 && put_number(attributes, state->names[DEPTH], picture->depth) < 0)
        || (picture->segmented && put_number(attributes, state->names[SEGMENTED], picture->segmented) < 0)) {
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
    PyObject *labels = NULL, *edges = NULL, *rows = NULL, *attributes = NULL, *filename = NULL, *answer = NULL;
    int layout = UNKNOWN_LAYOUT, any = 0;
    Picture picture;
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
    if (!take_picture(&text, &picture)) {
        Py_RETURN_NONE;
    }
    labels = PyList_New(0);
    edges = PyList_New(0);
    rows = PyList_New(0);
    if (labels == NULL || edges == NULL || rows == NULL) {
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
            || append_new(edges, edges_tuple(object.edges)) < 0) {
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
    filename = as_text(&picture.filename);
    attributes = filename == NULL ? NULL : picture_attributes(state, &picture);
    if (attributes == NULL) {
        goto done;
    }
    answer = Py_BuildValue("(OllOOOO)", filename, picture.width, picture.height, attributes, labels, edges,
                           any ? rows : Py_None);
done:
    Py_XDECREF(labels);
    Py_XDECREF(edges);
    Py_XDECREF(rows);
    Py_XDECREF(attributes);
    Py_XDECREF(filename);
    if (answer == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return answer;
}

/* A number as Python's repr writes it, whole ones without a fraction. */
static int
put_number_text(Buffer *buffer, double number)
{
    char *text;
    int failed;
    if (is_whole(number)) {
        return magnitude(number) <= EXACT ? put_whole(buffer, (int64_t)number) : 1; /* many digits: for the twin */
    }
    text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (text == NULL) {
        return -1;
    }
    failed = put(buffer, text, (Py_ssize_t)strlen(text));
    PyMem_Free(text);
    return failed;
}

typedef struct {
    PyObject *pose; /* owned; NULL where there is none */
    long long id, truncated, difficult, occluded;
    int has_id, has_occluded;
} Said;

static int
whole_value(PyObject *value, long long *number)
{
    int over;
    if (!PyLong_CheckExact(value)) {
        return 0;
    }
    *number = PyLong_AsLongLongAndOverflow(value, &over);
    return !over && *number <= (1LL << 52) && *number >= -(1LL << 52);
}

/* The value of a key, as a new reference; NULL where there is none, or where an error is set. */
static PyObject *
value_of(PyObject *mapping, PyObject *key)
{
    return PySequence_Contains(mapping, key) > 0 ? PyObject_GetItem(mapping, key) : NULL;
}

/* What a box's attributes say; 0 where they say more than is usual, -1: an error. The pose is a new reference. */
static int
read_attributes(State *state, PyObject *attributes, Said *said)
{
    static const int keys[] = {TRUNCATED, DIFFICULT, OCCLUDED, ID, POSE};
    long long numbers[4] = {0, 0, 0, 0};
    Py_ssize_t left = PyMapping_Size(attributes);
    int usual = 1;
    memset(said, 0, sizeof(*said));
    for (int i = 0; left > 0 && i < 5; i++) {
        PyObject *value = value_of(attributes, state->names[keys[i]]);
        if (value == NULL) {
            if (PyErr_Occurred()) {
                return -1;
            }
            continue;
        }
        left--;
        if (keys[i] == POSE) {
            said->pose = value;
            continue;
        }
        usual &= whole_value(value, &numbers[i]);
        said->has_occluded |= keys[i] == OCCLUDED;
        said->has_id |= keys[i] == ID;
        Py_DECREF(value);
    }
    if (left < 0) {
        return -1;
    }
    said->truncated = numbers[0];
    said->difficult = numbers[1];
    said->occluded = numbers[2];
    said->id = numbers[3];
    return left == 0 && usual;
}

static PyObject *
known_text(PyObject *known, PyObject *text)
{
    PyObject *escaped = PyUnicode_CheckExact(text) ? PyDict_GetItemWithError(known, text) : NULL;
    return escaped != NULL && PyUnicode_CheckExact(escaped) ? escaped : NULL;
}

PyObject *
voc_objects(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    static const char *const openings[] = {
        "\t\t<bndbox>\n\t\t\t<xmin>", "</xmin>\n\t\t\t<ymin>", "</ymin>\n\t\t\t<xmax>", "</xmax>\n\t\t\t<ymax>",
    };
    State *state = PyModule_GetState(module);
    Buffer buffer = {NULL, 0, 0};
    Said said = {0};
    PyObject *labels, *edges, *attributes, *texts, *written = NULL;
    Py_ssize_t count;
    double shift;
    if (given != 5) {
        PyErr_SetString(PyExc_TypeError, "voc_objects takes five arguments");
        return NULL;
    }
    labels = arguments[0];
    edges = arguments[1];
    attributes = arguments[2];
    texts = arguments[3];
    shift = PyFloat_AsDouble(arguments[4]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (!PyTuple_CheckExact(labels) || !PyTuple_CheckExact(edges) || !PyTuple_CheckExact(attributes)
        || !PyDict_CheckExact(texts)) {
        Py_RETURN_NONE;
    }
    count = PyTuple_Size(labels);
    if (PyTuple_Size(edges) != count || PyTuple_Size(attributes) != count) {
        Py_RETURN_NONE;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *box = PyTuple_GetItem(edges, i), *name, *pose = NULL;
        int usual;
        Py_CLEAR(said.pose);
        usual = read_attributes(state, PyTuple_GetItem(attributes, i), &said);
        if (usual <= 0 || !is_usual_box(box)) {
            goto done;
        }
        /* From here to the end of the pass no Python code runs that could take these texts away. */
        name = known_text(texts, PyTuple_GetItem(labels, i));
        if (name == NULL || (said.pose != NULL && (pose = known_text(texts, said.pose)) == NULL)) {
            goto done;
        }
        if (PUT(&buffer, "\t<object>\n\t\t<name>") || put_str(&buffer, name) || PUT(&buffer, "</name>\n\t\t<pose>")
            || (pose == NULL ? PUT(&buffer, "Unspecified") : put_str(&buffer, pose))
            || PUT(&buffer, "</pose>\n\t\t<truncated>") || put_whole(&buffer, said.truncated)
            || PUT(&buffer, "</truncated>\n\t\t<difficult>") || put_whole(&buffer, said.difficult)
            || PUT(&buffer, "</difficult>\n")) {
            goto done;
        }
        if (said.has_occluded
            && (PUT(&buffer, "\t\t<occluded>") || put_whole(&buffer, said.occluded)
                || PUT(&buffer, "</occluded>\n"))) {
            goto done;
        }
        for (int j = 0; j < 4; j++) {
            double edge = PyFloat_AsDouble(PyTuple_GetItem(box, j)) + (j < 2 ? shift : 0.0);
            if (put(&buffer, openings[j], (Py_ssize_t)strlen(openings[j])) || put_number_text(&buffer, edge)) {
                goto done;
            }
        }
        if (PUT(&buffer, "</ymax>\n\t\t</bndbox>\n")) {
            goto done;
        }
        if (said.has_id && (PUT(&buffer, "\t\t<id>") || put_whole(&buffer, said.id) || PUT(&buffer, "</id>\n"))) {
            goto done;
        }
        if (PUT(&buffer, "\t</object>\n")) {
            goto done;
        }
    }
    written = PyUnicode_DecodeUTF8(buffer.size ? buffer.start : "", buffer.size, NULL);
done:
    Py_CLEAR(said.pose);
    PyMem_Free(buffer.start);
    if (written == NULL) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            return NULL;
        }
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return written;
}
