/* Boxes and samples, as boxwright.schemas and boxwright.plain make them. */

#include "speedups.h"

static PyObject *
as_tuple(PyObject *column)
{
    if (PyTuple_CheckExact(column)) {
        Py_INCREF(column);
        return column;
    }
    return PyList_CheckExact(column) ? PyList_AsTuple(column) : NULL;
}

PyObject *
columns(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    PyObject *labels = NULL, *edges = NULL, *attributes = NULL, *answer = NULL;
    Py_ssize_t count;
    int any = 0;
    (void)module;
    if (given != 3) {
        PyErr_SetString(PyExc_TypeError, "columns takes three arguments");
        return NULL;
    }
    labels = as_tuple(arguments[0]);
    edges = labels == NULL ? NULL : as_tuple(arguments[1]);
    if (edges == NULL) {
        goto done;
    }
    count = PyTuple_Size(labels);
    if (PyTuple_Size(edges) != count) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *label = PyTuple_GetItem(labels, i);
        if (!PyUnicode_CheckExact(label) || PyUnicode_GetLength(label) == 0
            || !is_usual_box(PyTuple_GetItem(edges, i))) {
            goto done;
        }
    }
    if (arguments[2] != Py_None) {
        attributes = as_tuple(arguments[2]);
        if (attributes == NULL || PyTuple_Size(attributes) != count) {
            goto done;
        }
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *each = PyTuple_GetItem(attributes, i);
            Py_ssize_t size;
            if (Py_TYPE(each) != &PyDictProxy_Type) {
                goto done;
            }
            size = PyMapping_Size(each);
            if (size < 0) {
                goto done;
            }
            any |= size > 0;
        }
    }
    answer = PyTuple_Pack(3, labels, edges, any ? attributes : Py_None);
done:
    Py_XDECREF(labels);
    Py_XDECREF(edges);
    Py_XDECREF(attributes);
    if (answer == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return answer;
}

/* A pydantic object with checked values; content is given away. */
static PyObject *
made(State *state, PyObject *model, PyObject *content, PyObject *fields)
{
    newfunc create = (newfunc)PyType_GetSlot((PyTypeObject *)model, Py_tp_new);
    PyObject *given = NULL, *object = NULL;
    if (content == NULL) {
        return NULL;
    }
    given = PySet_New(fields);
    object = given == NULL ? NULL : create((PyTypeObject *)model, state->no_arguments, NULL);
    if (object != NULL
        && (PyObject_GenericSetAttr(object, state->names[CONTENT], content) < 0
            || PyObject_GenericSetAttr(object, state->names[GIVEN], given) < 0
            || PyObject_GenericSetAttr(object, state->names[EXTRA], Py_None) < 0
            || PyObject_GenericSetAttr(object, state->names[PRIVATE], Py_None) < 0)) {
        Py_CLEAR(object);
    }
    Py_DECREF(content);
    Py_XDECREF(given);
    return object;
}

/* Whether it is a text without halves of characters. */
static int
is_whole_text(PyObject *text)
{
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(text)) {
        return 0;
    }
    if (PyUnicode_AsUTF8AndSize(text, &size) == NULL) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

/* Whether it is a whole number from 1 that a long holds. */
static int
is_side(PyObject *side)
{
    long value;
    if (!PyLong_CheckExact(side)) {
        return 0;
    }
    value = PyLong_AsLong(side);
    if (value == -1 && PyErr_Occurred()) {
        PyErr_Clear();
    }
    return value > 0;
}

static PyObject *
dict_of(State *state, const int *keys, PyObject *const *values, int count)
{
    PyObject *dict = PyDict_New();
    for (int i = 0; dict != NULL && i < count; i++) {
        if (PyDict_SetItem(dict, state->names[keys[i]], values[i]) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

PyObject *
plain_sample(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    static const int image_keys[] = {NAME, WIDTH, HEIGHT, LOCATION, DATA, FORMAT};
    static const int sample_keys[] = {IMAGE, BOXES, SPLIT, ATTRIBUTES, SOURCE};
    State *state = PyModule_GetState(module);
    PyObject *name, *width, *height, *location, *boxes, *split, *attributes, *source, *image, *sample;
    if (given != 11 || !PyType_Check(arguments[0]) || !PyType_Check(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "plain_sample takes three classes and eight values");
        return NULL;
    }
    name = arguments[3];
    width = arguments[4];
    height = arguments[5];
    location = arguments[6];
    boxes = arguments[7];
    split = arguments[8];
    attributes = arguments[9];
    source = arguments[10];
    if (!is_whole_text(name) || PyUnicode_GetLength(name) == 0 || !is_whole_text(source) || !is_side(width)
        || !is_side(height) || (location != Py_None && !is_whole_text(location))
        || (split != Py_None && !is_whole_text(split)) || (PyObject *)Py_TYPE(boxes) != arguments[2]
        || !PyDict_CheckExact(attributes)) {
        Py_RETURN_NONE;
    }
    image = made(
        state, arguments[0],
        dict_of(state, image_keys, (PyObject *[]){name, width, height, location, Py_None, Py_None}, 6),
        state->image_fields);
    if (image == NULL) {
        return NULL;
    }
    sample = made(
        state, arguments[1],
        dict_of(state, sample_keys, (PyObject *[]){image, boxes, split, attributes, source}, 5),
        state->sample_fields);
    Py_DECREF(image);
    return sample;
}

PyObject *
lacking(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    Py_ssize_t count, number = 0;
    (void)module;
    if (given != 2 || !PyTuple_CheckExact(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "lacking takes a key and a tuple");
        return NULL;
    }
    count = PyTuple_Size(arguments[1]);
    for (Py_ssize_t i = 0; i < count; i++) {
        int has = PySequence_Contains(PyTuple_GetItem(arguments[1], i), arguments[0]);
        if (has < 0) {
            return NULL;
        }
        number += !has;
    }
    return PyLong_FromSsize_t(number);
}
