/* The module: its functions, and the state that they share. */

#include "speedups.h"

static const char *const NAMES[NUMBER_OF_NAMES] = {
    "verified", "folder", "path", "database", "depth", "segmented", "pose", "truncated", "difficult", "occluded",
};

PyDoc_STRVAR(parse_layout_doc,
"parse_layout(data: bytes, /) -> tuple | None\n--\n\n"
"Returns the fields of boxwright_voc.xml.annotation.Annotation from a file as labelImg, Roboflow or the VOC tools of\n"
"2008 write it: file name, width, height, the image's attributes, labels, coordinates, and the boxes' attributes.");

static int
set_up(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->labels = PyDict_New();
    state->attributes = PyDict_New();
    if (state->labels == NULL || state->attributes == NULL) {
        return -1;
    }
    for (int i = 0; i < NUMBER_OF_NAMES; i++) {
        state->names[i] = PyUnicode_InternFromString(NAMES[i]);
        if (state->names[i] == NULL) {
            return -1;
        }
    }
    return 0;
}

static int
traverse(PyObject *module, visitproc visit, void *arg)
{
    State *state = PyModule_GetState(module);
    Py_VISIT(state->labels);
    Py_VISIT(state->attributes);
    for (int i = 0; i < 8; i++) {
        Py_VISIT(state->flags[i]);
    }
    return 0;
}

static int
clear(PyObject *module)
{
    State *state = PyModule_GetState(module);
    Py_CLEAR(state->labels);
    Py_CLEAR(state->attributes);
    for (int i = 0; i < 8; i++) {
        Py_CLEAR(state->flags[i]);
    }
    for (int i = 0; i < NUMBER_OF_NAMES; i++) {
        Py_CLEAR(state->names[i]);
    }
    return 0;
}

static void
end(void *module)
{
    clear((PyObject *)module);
}

static PyMethodDef METHODS[] = {
    {"parse_layout", parse_layout, METH_O, parse_layout_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, set_up},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "boxwright_speedups._compiled",
    .m_doc = "The compiled functions of boxwright.",
    .m_size = sizeof(State),
    .m_methods = METHODS,
    .m_slots = SLOTS,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = end,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    return PyModuleDef_Init(&MODULE);
}
