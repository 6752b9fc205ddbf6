/* What the parts of this module share.
 *
 * Each function of the module is the twin of Python code that is named beside it, does what is usual, and answers None
 * for the rest, which its twin then does. What it answers is what the twin would.
 */

#ifndef BOXWRIGHT_SPEEDUPS_H
#define BOXWRIGHT_SPEEDUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "sums would have more digits than Python's; without this part boxwright works the same, and slower"
#endif

#define KEPT 4096          /* entries of a table that is kept from call to call */
#define LONGEST_KEPT 128  /* bytes of a text that is kept so */
#define EXACT 4503599627370496.0 /* 2**52: below it, sums and differences of whole edges are exact */

enum {
    VERIFIED, FOLDER, PATH, DATABASE, DEPTH, SEGMENTED, POSE, TRUNCATED, DIFFICULT, OCCLUDED,
    NAME, WIDTH, HEIGHT, LOCATION, DATA, FORMAT, IMAGE, BOXES, SPLIT, ATTRIBUTES, SOURCE,
    ID, CONTENT, GIVEN, EXTRA, PRIVATE,
    NUMBER_OF_NAMES
};

typedef struct {
    PyObject *labels;     /* dict: a class's name to the one string object that all its boxes share */
    PyObject *attributes; /* dict: (pose or None, truncated, difficult, occluded) to the mapping that boxes share */
    PyObject *flags[8];   /* those of truncated, difficult and occluded alone, each 0 or 1; made when first wanted */
    PyObject *no_arguments;
    PyObject *image_fields, *sample_fields; /* which ones are set by hand */
    PyObject *names[NUMBER_OF_NAMES];
} State;

/* Text in the making. */
typedef struct {
    char *start;
    Py_ssize_t size, room;
} Buffer;

static inline int
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

#define PUT(buffer, text) put(buffer, text, sizeof(text) - 1)

static inline int
put_whole(Buffer *buffer, int64_t value)
{
    char digits[24];
    int at = sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0) {
        digits[--at] = '-';
    }
    return put(buffer, digits + at, (Py_ssize_t)sizeof(digits) - at);
}

static inline int
put_str(Buffer *buffer, PyObject *text)
{
    Py_ssize_t size;
    const char *content = PyUnicode_AsUTF8AndSize(text, &size);
    return content == NULL ? -1 : put(buffer, content, size);
}

/* Whether a box is four finite floats, xmin <= xmax, ymin <= ymax. */
static inline int
is_usual_box(PyObject *box)
{
    double edges[4], total;
    if (!PyTuple_CheckExact(box) || PyTuple_Size(box) != 4) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        PyObject *edge = PyTuple_GetItem(box, i);
        if (!PyFloat_CheckExact(edge)) {
            return 0;
        }
        edges[i] = PyFloat_AsDouble(edge);
    }
    total = edges[0] + edges[1] + edges[2] + edges[3];
    return total - total == 0 && edges[0] <= edges[2] && edges[1] <= edges[3];
}

/* Written out, for want of a mathematics library that every linker knows by the same name. */

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
        return number; /* it has no fraction (or is no number) */
    }
    cut = (double)(int64_t)number;
    return cut > number ? cut - 1 : cut;
}

static inline int
is_whole(double number)
{
    return number == rounded_down(number);
}

/* Halves to the even neighbour, as Python's round does. */
static inline double
rounded(double number)
{
    double low = rounded_down(number), rest = number - low;
    return low + (rest > 0.5 || (rest == 0.5 && (int64_t)low % 2 != 0));
}

#define FUNCTION(name) Py_LOCAL_SYMBOL PyObject *name(PyObject *module, PyObject *const *arguments, Py_ssize_t given)

Py_LOCAL_SYMBOL PyObject *parse_layout(PyObject *module, PyObject *data);
Py_LOCAL_SYMBOL PyObject *read_small(PyObject *module, PyObject *path);
FUNCTION(coco_annotations);
FUNCTION(coco_rows);
FUNCTION(columns);
FUNCTION(fill_in);
FUNCTION(json_members);
FUNCTION(lacking);
FUNCTION(plain_sample);
FUNCTION(voc_objects);

#endif
