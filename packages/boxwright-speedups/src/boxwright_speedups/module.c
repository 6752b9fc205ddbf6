/* The module. */

#include "speedups.h"

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif

static const char *const NAMES[NUMBER_OF_NAMES] = {
    "verified", "folder", "path", "database", "depth", "segmented", "pose", "truncated", "difficult", "occluded",
    "name", "width", "height", "location", "data", "format", "image", "boxes", "split", "attributes", "source",
    "id", "__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__",
};

#define SMALL 65536

PyObject *
read_small(PyObject *module, PyObject *path)
{
#ifdef _WIN32
    (void)module;
    (void)path;
    Py_RETURN_NONE;
#else
    ssize_t size = -1;
    int file;
    char *place, *content;
    PyObject *name = PyUnicode_EncodeFSDefault(path), *read_all = NULL;
    (void)module;
    if (name == NULL) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    place = PyBytes_AsString(name);
    content = PyMem_Malloc(SMALL);
    if (content != NULL && memchr(place, '\0', (size_t)PyBytes_Size(name)) == NULL) {
        Py_BEGIN_ALLOW_THREADS
        file = open(place, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            size = read(file, content, SMALL);
            close(file);
        }
        Py_END_ALLOW_THREADS
    }
    Py_DECREF(name);
    if (size >= 0 && size < SMALL) {
        read_all = PyBytes_FromStringAndSize(content, size);
    }
    PyMem_Free(content);
    if (read_all == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return read_all;
#endif
}

PyDoc_STRVAR(parse_layout_doc,
"parse_layout(data: bytes, /) -> tuple | None\n--\n\n"
"What boxwright_voc.xml.patterns.match_layout answers, of files as labelImg, Roboflow and the VOC tools of 2008 write\n"
"them: filename, width, height, the picture's attributes, labels, edges, the boxes' attributes or None.");

PyDoc_STRVAR(voc_objects_doc,
"voc_objects(labels, edges, attributes, texts, shift, /) -> str | None\n--\n\n"
"What boxwright_voc.xml.document.XmlDocument writes of a picture's boxes, of those whose attributes are nothing but id,\n"
"pose and flags. texts gives names and poses with what XML escapes.");

PyDoc_STRVAR(columns_doc,
"columns(labels, edges, attributes, /) -> tuple | None\n--\n\n"
"What boxwright.schemas.Boxes keeps of its arguments, as three tuples (the last may be None), checked; of lists and\n"
"tuples that hold names, tuples of four floats, and read-only mappings.");

PyDoc_STRVAR(plain_sample_doc,
"plain_sample(image_class, sample_class, boxes_class, name, width, height, location, boxes, split, attributes, source,"
" /)\n--\n\n"
"What boxwright.plain.plain_sample answers, of usual values; the classes are those of boxwright.schemas.");

PyDoc_STRVAR(lacking_doc,
"lacking(key, mappings, /) -> int\n--\n\n"
"How many of some dicts and read-only mappings (in a tuple) do not have a key.");

PyDoc_STRVAR(json_members_doc,
"json_members(attributes, reserved, /) -> str | None\n--\n\n"
"What boxwright_coco.texts.members answers, of texts and whole numbers under names that are not reserved.");

PyDoc_STRVAR(coco_annotations_doc,
"coco_annotations(labels, edges, attributes, classes, tails, tail, /) -> list[str] | None\n--\n\n"
"What boxwright_coco.boxes.BoxTexts.annotations answers, of boxes with whole edges and without numbers of their own:\n"
"each box from its class on. classes gives a class's number as text, tails what stands behind the area by the address\n"
"of attributes (as tuples of both), and tail(attributes) is called for those that are not there.");

PyDoc_STRVAR(coco_rows_doc,
"coco_rows(text, at, base, kinds, new_kind, /) -> tuple\n--\n\n"
"What boxwright_coco.annotations.Annotations.extend makes of the elements of a list, from a place in UTF-8 text on, as\n"
"far as they are usual and a comma follows: the place where the next one begins, and as native bytes the images' and\n"
"classes' numbers, their own, four edges each, where each begins (counted from base), whether it has to be read again,\n"
"and the kind of what it says under other keys, by kinds or else by new_kind(these members, each behind a comma).");

PyDoc_STRVAR(fill_in_doc,
"fill_in(content, first, counts, owner, /) -> bytes\n--\n\n"
"JSON with numbers in place of its NUL bytes: one after the other from first. With a list of counts, each second one\n"
"gets its owner's number: as many as the first count says get owner, the next ones owner + 1, and so on.");

PyDoc_STRVAR(read_small_doc,
"read_small(path, /) -> bytes | None\n--\n\n"
"A file of less than 64 KiB, at once; None where it is larger or cannot be read.");

static int
set_up(PyObject *module)
{
    State *state = PyModule_GetState(module);
    state->labels = PyDict_New();
    state->attributes = PyDict_New();
    state->no_arguments = PyTuple_New(0);
    if (state->labels == NULL || state->attributes == NULL || state->no_arguments == NULL) {
        return -1;
    }
    for (int i = 0; i < NUMBER_OF_NAMES; i++) {
        state->names[i] = PyUnicode_InternFromString(NAMES[i]);
        if (state->names[i] == NULL) {
            return -1;
        }
    }
    state->image_fields = Py_BuildValue("(OOOO)", state->names[NAME], state->names[WIDTH], state->names[HEIGHT],
                                        state->names[LOCATION]);
    state->sample_fields = Py_BuildValue("(OOOOO)", state->names[IMAGE], state->names[BOXES], state->names[SPLIT],
                                         state->names[ATTRIBUTES], state->names[SOURCE]);
    return state->image_fields == NULL || state->sample_fields == NULL ? -1 : 0;
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
    Py_CLEAR(state->no_arguments);
    Py_CLEAR(state->image_fields);
    Py_CLEAR(state->sample_fields);
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

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef METHODS[] = {
    {"parse_layout", parse_layout, METH_O, parse_layout_doc},
    {"plain_sample", FAST(plain_sample), METH_FASTCALL, plain_sample_doc},
    {"lacking", FAST(lacking), METH_FASTCALL, lacking_doc},
    {"fill_in", FAST(fill_in), METH_FASTCALL, fill_in_doc},
    {"json_members", FAST(json_members), METH_FASTCALL, json_members_doc},
    {"voc_objects", FAST(voc_objects), METH_FASTCALL, voc_objects_doc},
    {"read_small", read_small, METH_O, read_small_doc},
    {"columns", FAST(columns), METH_FASTCALL, columns_doc},
    {"coco_annotations", FAST(coco_annotations), METH_FASTCALL, coco_annotations_doc},
    {"coco_rows", FAST(coco_rows), METH_FASTCALL, coco_rows_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, set_up},
    {0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "boxwright_speedups._compiled",
    .m_doc = "The innermost loops of boxwright, compiled.",
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
