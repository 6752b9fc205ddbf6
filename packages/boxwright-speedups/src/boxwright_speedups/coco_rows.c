/* The annotations of a COCO file, from JSON (RFC 8259) to columns.
 *
 * The Python implementation is boxwright_coco.annotations.Annotations.extend.
 */

#include "speedups.h"

#define DEEPEST 64     /* values that are nested more deeply are left to Python */
#define MOST_DIGITS 17 /* of an integer that surely fits */
#define SCALE 1e6
#define SHORT (9007199254740992.0 / SCALE) /* 2**53: below it, six decimals are exact */
#define EXACT 4503599627370496.0           /* 2**52: below it, sums and differences of integers are exact */

typedef struct {
    char *start;
    Py_ssize_t size, room;
} Buffer;

static int
put(Buffer *buffer, const char *text, Py_ssize_t size)
{
    if (size > buffer->room - buffer->size) {
        Py_ssize_t room = 0;
        char *moved = NULL;
        if (size < PY_SSIZE_T_MAX / 4 && buffer->size < PY_SSIZE_T_MAX / 4) {
            room = 2 * (buffer->size + size) + 64;
            moved = PyMem_Realloc(buffer->start, (size_t)room);
        }
        if (moved == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        buffer->start = moved;
        buffer->room = room;
    }
    if (size > 0) {
        memcpy(buffer->start + buffer->size, text, (size_t)size);
        buffer->size += size;
    }
    return 0;
}

/* Written here because linkers do not agree on the name of the mathematics library. */

static inline double
magnitude(double number)
{
    return number < 0 ? -number : number;
}

static inline double
rounded_down(double number)
{
    double cut;
    if (!(magnitude(number) < EXACT)) {
        return number; /* it has no fraction, or is NaN */
    }
    cut = (double)(int64_t)number;
    return cut > number ? cut - 1 : cut;
}

static inline int
is_whole(double number)
{
    return number == rounded_down(number);
}

/* Rounds half to even, as Python's round does. */
static inline double
rounded(double number)
{
    double low = rounded_down(number), rest = number - low;
    return low + (rest > 0.5 || (rest == 0.5 && (int64_t)low % 2 != 0));
}

typedef struct {
    const char *at;
    const char *end;
} Json;

static inline void
skip_space(Json *json)
{
    while (json->at < json->end
           && (*json->at == ' ' || *json->at == '\n' || *json->at == '\t' || *json->at == '\r')) {
        json->at++;
    }
}

static inline int
take_char(Json *json, char wanted)
{
    skip_space(json);
    if (json->at < json->end && *json->at == wanted) {
        json->at++;
        return 1;
    }
    return 0;
}

static inline int
is_digit(const Json *json)
{
    return json->at < json->end && *json->at >= '0' && *json->at <= '9';
}

/* A string, with its escapes checked and kept. */
static int
take_string(Json *json, const char **start, Py_ssize_t *size)
{
    if (!take_char(json, '"')) {
        return 0;
    }
    for (*start = json->at; json->at < json->end; json->at++) {
        unsigned char letter = (unsigned char)*json->at;
        if (letter == '"') {
            *size = json->at++ - *start;
            return 1;
        }
        if (letter < 0x20) {
            return 0;
        }
        if (letter == '\\') {
            if (++json->at == json->end) {
                return 0;
            }
            if (*json->at == 'u') {
                for (int i = 0; i < 4; i++) {
                    if (++json->at == json->end || strchr("0123456789abcdefABCDEF", *json->at) == NULL
                        || *json->at == '\0') {
                        return 0;
                    }
                }
            }
            else if (*json->at == '\0' || strchr("\"\\/bfnrt", *json->at) == NULL) {
                return 0;
            }
        }
    }
    return 0;
}

/* A number; whole is set if it is an integer of few digits, without fraction and exponent. */
static int
take_number(Json *json, double *value, long long *integer, int *whole)
{
    const char *start, *digits;
    int negative;
    long long number = 0;
    skip_space(json);
    start = json->at;
    negative = json->at < json->end && *json->at == '-';
    json->at += negative;
    digits = json->at;
    while (is_digit(json)) {
        if (json->at - digits < MOST_DIGITS) {
            number = number * 10 + (*json->at - '0');
        }
        json->at++;
    }
    if (json->at == digits || (*digits == '0' && json->at - digits > 1) || json->at == json->end) {
        return 0; /* at the end of the window a number may continue */
    }
    *whole = json->at - digits <= MOST_DIGITS;
    if (*json->at == '.') {
        *whole = 0;
        json->at++;
        if (!is_digit(json)) {
            return 0;
        }
        while (is_digit(json)) {
            json->at++;
        }
    }
    if (json->at < json->end && (*json->at == 'e' || *json->at == 'E')) {
        *whole = 0;
        json->at++;
        if (json->at < json->end && (*json->at == '+' || *json->at == '-')) {
            json->at++;
        }
        if (!is_digit(json)) {
            return 0;
        }
        while (is_digit(json)) {
            json->at++;
        }
    }
    if (json->at == json->end) {
        return 0;
    }
    *integer = negative ? -number : number;
    if (*whole && number <= (1LL << 53)) {
        *value = (double)*integer;
    }
    else {
        char copy[64];
        if (json->at - start >= (Py_ssize_t)sizeof(copy)) {
            return 0;
        }
        memcpy(copy, start, (size_t)(json->at - start));
        copy[json->at - start] = '\0';
        *value = PyOS_string_to_double(copy, NULL, NULL);
        if (*value == -1.0 && PyErr_Occurred()) {
            PyErr_Clear();
            return 0;
        }
    }
    return 1;
}

static int
take_word(Json *json, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(json->end - json->at) < size || memcmp(json->at, word, size) != 0) {
        return 0;
    }
    json->at += size;
    return 1;
}

/* Any value; 0 if it is not JSON, or does not end in this text. */
static int
skip_value(Json *json, int depth)
{
    const char *start;
    Py_ssize_t size;
    double value;
    long long integer;
    int whole;
    skip_space(json);
    if (json->at == json->end || depth > DEEPEST) {
        return 0;
    }
    switch (*json->at) {
    case '"':
        return take_string(json, &start, &size);
    case 't':
        return take_word(json, "true");
    case 'f':
        return take_word(json, "false");
    case 'n':
        return take_word(json, "null");
    case '[':
        json->at++;
        if (take_char(json, ']')) {
            return 1;
        }
        do {
            if (!skip_value(json, depth + 1)) {
                return 0;
            }
        } while (take_char(json, ','));
        return take_char(json, ']');
    case '{':
        json->at++;
        if (take_char(json, '}')) {
            return 1;
        }
        do {
            if (!take_string(json, &start, &size) || !take_char(json, ':') || !skip_value(json, depth + 1)) {
                return 0;
            }
        } while (take_char(json, ','));
        return take_char(json, '}');
    default:
        return take_number(json, &value, &integer, &whole);
    }
}

/* boxwright_coco.numbers.far_coordinate */
static double
far_coordinate(double start, double span)
{
    double coordinate = start + span;
    if (!is_whole(coordinate) && magnitude(start) < SHORT && magnitude(span) < SHORT) {
        double scaled_start = rounded(start * SCALE), scaled_span = rounded(span * SCALE);
        if (scaled_start / SCALE == start && scaled_span / SCALE == span) {
            return (scaled_start + scaled_span) / SCALE;
        }
    }
    return coordinate;
}

typedef struct {
    long long image, category, id;
    double box[4], area;
    int has_image, has_category, has_id, has_box, has_area;
    int again; /* it has more than the columns can contain */
} Row;

static int
take_box(Json *json, Row *row)
{
    long long integer;
    int whole;
    if (!take_char(json, '[')) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        if ((i && !take_char(json, ',')) || !take_number(json, &row->box[i], &integer, &whole)) {
            return 0;
        }
    }
    return take_char(json, ']');
}

static int
take_whole(Json *json, long long *value)
{
    double number;
    int whole;
    return take_number(json, &number, value, &whole) && whole;
}

#define IS(word) (size == (Py_ssize_t)sizeof(word) - 1 && memcmp(key, word, sizeof(word) - 1) == 0)

/* An annotation with the usual keys; the text of its other members is added to others, each after a comma.
   0 if it is left to Python, -1 after an error. */
static int
take_row(Json *json, Row *row, Buffer *others)
{
    memset(row, 0, sizeof(*row));
    others->size = 0;
    if (!take_char(json, '{')) {
        return 0;
    }
    do {
        const char *key, *start;
        Py_ssize_t size;
        if (!take_string(json, &key, &size) || !take_char(json, ':') || memchr(key, '\\', (size_t)size) != NULL) {
            return 0; /* a key with an escape may be any of the keys below */
        }
        skip_space(json);
        start = json->at;
        if (IS("image_id")) {
            if (row->has_image++ || !take_whole(json, &row->image)) {
                return 0;
            }
        }
        else if (IS("category_id")) {
            if (row->has_category++ || !take_whole(json, &row->category)) {
                return 0;
            }
        }
        else if (IS("id")) {
            if (row->has_id++ || !take_whole(json, &row->id)) {
                return 0;
            }
        }
        else if (IS("bbox")) {
            if (row->has_box++ || !take_box(json, row)) {
                return 0;
            }
        }
        else if (IS("area")) {
            long long integer;
            int whole;
            if (row->has_area++) {
                return 0;
            }
            if (!take_number(json, &row->area, &integer, &whole)) {
                json->at = start;
                row->again = 1;
                if (!skip_value(json, 0)) {
                    return 0;
                }
            }
        }
        else if (IS("iscrowd") || IS("segmentation")) {
            if (!skip_value(json, 0)) {
                return 0;
            }
            size = json->at - start;
            row->again |= !((size == 1 && *start == '0') || (size == 2 && start[0] == '[')
                            || (size == 4 && *start == 'n') || (size == 5 && *start == 'f'));
        }
        else {
            if (!skip_value(json, 0)) {
                return 0;
            }
            if (put(others, ",", 1) < 0 || put(others, key - 1, json->at - (key - 1)) < 0) {
                return -1;
            }
        }
    } while (take_char(json, ','));
    return take_char(json, '}') && row->has_image && row->has_category && row->has_box;
}

enum { IMAGES, CATEGORIES, IDS, COORDINATES, STARTS, AGAIN, KINDS, COLUMNS };

/* The kind of an annotation's other members; -1 if it is not kept, -2 after an error. */
static long
kind_of(PyObject *kinds, PyObject *new_kind, const Buffer *others)
{
    PyObject *members = PyBytes_FromStringAndSize(others->start, others->size), *kind;
    long number = -2;
    if (members == NULL) {
        return -2;
    }
    kind = PyDict_GetItemWithError(kinds, members);
    if (kind != NULL) {
        Py_INCREF(kind);
    }
    else if (!PyErr_Occurred()) {
        kind = PyObject_CallFunctionObjArgs(new_kind, members, NULL);
    }
    Py_DECREF(members);
    if (kind != NULL) {
        number = PyLong_AsLong(kind);
        Py_DECREF(kind);
        if (PyErr_Occurred() || number < -1 || number > UINT16_MAX) {
            number = PyErr_Occurred() ? -2 : -1;
        }
    }
    return number;
}

static int
put_row(Buffer *columns, const Row *row, int64_t start, long kind)
{
    double width = row->box[2], height = row->box[3];
    double coordinates[4] = {row->box[0], row->box[1], far_coordinate(row->box[0], width),
                             far_coordinate(row->box[1], height)};
    double area = width * height;
    int64_t image = row->image, category = row->category, id = row->has_id ? row->id : INT64_MIN;
    uint16_t number = kind < 0 ? 0 : (uint16_t)kind;
    char again = (char)(row->again || kind < 0);
    if (!(magnitude(row->box[0]) < EXACT) || !(magnitude(row->box[1]) < EXACT) || !(width < EXACT)
        || !(height < EXACT) || width < 0 || height < 0 || !(area < EXACT)) {
        memset(coordinates, 0, sizeof(coordinates)); /* Python reports the problem when it reads the row again */
        again = 1;
    }
    again |= row->has_area && row->area != area;
    return put(&columns[IMAGES], (const char *)&image, sizeof(image))
        || put(&columns[CATEGORIES], (const char *)&category, sizeof(category))
        || put(&columns[IDS], (const char *)&id, sizeof(id))
        || put(&columns[COORDINATES], (const char *)coordinates, sizeof(coordinates))
        || put(&columns[STARTS], (const char *)&start, sizeof(start))
        || put(&columns[AGAIN], &again, 1)
        || put(&columns[KINDS], (const char *)&number, sizeof(number));
}

PyObject *
coco_rows(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    Buffer columns[COLUMNS] = {{NULL, 0, 0}}, others = {NULL, 0, 0};
    PyObject *answer = NULL;
    const char *content, *next;
    char *start;
    Py_ssize_t size, at;
    long long base;
    Json json;
    (void)module;
    if (given != 5 || !PyDict_CheckExact(arguments[3])) {
        PyErr_SetString(PyExc_TypeError, "coco_rows takes bytes, two numbers, a dict and a function");
        return NULL;
    }
    at = PyLong_AsSsize_t(arguments[1]);
    base = PyLong_AsLongLong(arguments[2]);
    if (PyErr_Occurred() || PyBytes_AsStringAndSize(arguments[0], &start, &size) < 0) {
        return NULL;
    }
    if (at < 0 || at > size) {
        PyErr_SetString(PyExc_ValueError, "the position is not in the text");
        return NULL;
    }
    content = start;
    json.at = next = content + at;
    json.end = content + size;
    for (;;) {
        Row row;
        long kind = 0;
        int taken;
        skip_space(&json);
        next = json.at;
        taken = take_row(&json, &row, &others);
        if (taken < 0) {
            goto done;
        }
        if (!taken || !take_char(&json, ',')) {
            break;
        }
        if (others.size && (kind = kind_of(arguments[3], arguments[4], &others)) == -2) {
            goto done;
        }
        if (put_row(columns, &row, base + (next - content), kind)) {
            goto done;
        }
    }
    answer = PyTuple_New(1 + COLUMNS);
    for (int i = 0; answer != NULL && i <= COLUMNS; i++) {
        PyObject *column = i ? PyBytes_FromStringAndSize(columns[i - 1].start, columns[i - 1].size)
                             : PyLong_FromSsize_t(next - content);
        if (column == NULL || PyTuple_SetItem(answer, i, column) < 0) {
            Py_CLEAR(answer);
        }
    }
done:
    for (int i = 0; i < COLUMNS; i++) {
        PyMem_Free(columns[i].start);
    }
    PyMem_Free(others.start);
    return answer;
}
