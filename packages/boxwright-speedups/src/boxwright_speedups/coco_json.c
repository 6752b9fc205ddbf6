/* COCO's JSON, as boxwright_coco writes it. */

#include "speedups.h"

/* What stands behind the area: kept by the mapping's address in a dict of (mapping, text or None). Borrowed. */
static PyObject *
kept_tail(PyObject *tails, PyObject *attributes)
{
    PyObject *key, *kept;
    if (PyMapping_Size(attributes) < 0) {
        return NULL;
    }
    key = PyLong_FromVoidPtr(attributes);
    if (key == NULL) {
        return NULL;
    }
    kept = PyDict_GetItemWithError(tails, key);
    Py_DECREF(key);
    if (kept == NULL || !PyTuple_CheckExact(kept) || PyTuple_Size(kept) != 2
        || PyTuple_GetItem(kept, 0) != attributes || !PyUnicode_CheckExact(PyTuple_GetItem(kept, 1))) {
        return NULL;
    }
    return PyTuple_GetItem(kept, 1);
}

/* A text in double quotes, as json.encoder.encode_basestring writes it. */
static int
put_quoted(Buffer *buffer, PyObject *text)
{
    static const char hex[] = "0123456789abcdef";
    Py_ssize_t size;
    const char *content = PyUnicode_AsUTF8AndSize(text, &size), *done, *at, *end;
    if (content == NULL || PUT(buffer, "\"") < 0) {
        return -1;
    }
    end = content + size;
    for (done = at = content; at < end; at++) {
        unsigned char letter = (unsigned char)*at;
        char escape[6] = {'\\', '\0', '0', '0', '0', '0'};
        Py_ssize_t length = 2;
        if (letter >= 0x20 && letter != '"' && letter != '\\') {
            continue;
        }
        switch (letter) {
        case '"': escape[1] = '"'; break;
        case '\\': escape[1] = '\\'; break;
        case '\n': escape[1] = 'n'; break;
        case '\r': escape[1] = 'r'; break;
        case '\t': escape[1] = 't'; break;
        case '\b': escape[1] = 'b'; break;
        case '\f': escape[1] = 'f'; break;
        default:
            escape[1] = 'u';
            escape[4] = hex[letter >> 4];
            escape[5] = hex[letter & 15];
            length = 6;
        }
        if (put(buffer, done, at - done) < 0 || put(buffer, escape, length) < 0) {
            return -1;
        }
        done = at + 1;
    }
    return put(buffer, done, end - done) < 0 || PUT(buffer, "\"") < 0 ? -1 : 0;
}

PyObject *
json_members(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    PyObject *key, *value, *text = NULL;
    Py_ssize_t place = 0;
    Buffer buffer = {NULL, 0, 0};
    (void)module;
    if (given != 2) {
        PyErr_SetString(PyExc_TypeError, "json_members takes two arguments");
        return NULL;
    }
    if (!PyDict_CheckExact(arguments[0])) {
        Py_RETURN_NONE;
    }
    while (PyDict_Next(arguments[0], &place, &key, &value)) {
        int reserved, put_all;
        if (!PyUnicode_CheckExact(key)) {
            goto done;
        }
        reserved = PySequence_Contains(arguments[1], key);
        if (reserved != 0) {
            goto done;
        }
        if (PUT(&buffer, ",") < 0 || put_quoted(&buffer, key) < 0 || PUT(&buffer, ":") < 0) {
            goto done;
        }
        if (PyUnicode_CheckExact(value)) {
            put_all = put_quoted(&buffer, value);
        }
        else if (PyLong_CheckExact(value)) {
            int over;
            long long number = PyLong_AsLongLongAndOverflow(value, &over);
            if (over || number > (1LL << 52) || number < -(1LL << 52)) {
                goto done;
            }
            put_all = put_whole(&buffer, number);
        }
        else {
            goto done;
        }
        if (put_all < 0) {
            goto done;
        }
    }
    text = PyUnicode_DecodeUTF8(buffer.size ? buffer.start : "", buffer.size, NULL);
done:
    PyMem_Free(buffer.start);
    if (text == NULL) {
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_UnicodeError)) {
            return NULL;
        }
        PyErr_Clear(); /* half a character: the twin escapes it */
        Py_RETURN_NONE;
    }
    return text;
}

/* One box: "category_id":1,"bbox":[1,2,3,4],"area":12,"iscrowd":0,... and 1; 0 where it is for the twin; -1: an error. */
static int
put_annotation(Buffer *buffer, PyObject *class_text, PyObject *box, PyObject *tail)
{
    double edges[4], width, height, area;
    if (!is_usual_box(box)) {
        return 0;
    }
    for (int i = 0; i < 4; i++) {
        edges[i] = PyFloat_AsDouble(PyTuple_GetItem(box, i));
        if (!is_whole(edges[i]) || magnitude(edges[i]) > EXACT) {
            return 0;
        }
    }
    width = edges[2] - edges[0];
    height = edges[3] - edges[1];
    area = width * height;
    if (width + height > EXACT || area > EXACT) {
        return 0;
    }
    if (PUT(buffer, "\"category_id\":") < 0 || put_str(buffer, class_text) < 0 || PUT(buffer, ",\"bbox\":[") < 0
        || put_whole(buffer, (int64_t)edges[0]) < 0 || PUT(buffer, ",") < 0 || put_whole(buffer, (int64_t)edges[1]) < 0
        || PUT(buffer, ",") < 0 || put_whole(buffer, (int64_t)width) < 0 || PUT(buffer, ",") < 0
        || put_whole(buffer, (int64_t)height) < 0 || PUT(buffer, "],\"area\":") < 0 || put_whole(buffer, (int64_t)area) < 0
        || PUT(buffer, ",") < 0) {
        return -1;
    }
    if (tail == NULL) {
        return PUT(buffer, "\"iscrowd\":0,\"segmentation\":[]}") < 0 ? -1 : 1;
    }
    return put_str(buffer, tail) < 0 ? -1 : 1;
}

PyObject *
coco_annotations(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    PyObject *labels, *edges, *attributes, *classes, *tails, *texts = NULL;
    PyObject *last = NULL, *last_tail = NULL; /* neighbours often share their attributes; last_tail is borrowed */
    Buffer buffer = {NULL, 0, 0};
    Py_ssize_t count;
    int usual = 0;
    (void)module;
    if (given != 6) {
        PyErr_SetString(PyExc_TypeError, "coco_annotations takes six arguments");
        return NULL;
    }
    labels = arguments[0];
    edges = arguments[1];
    attributes = arguments[2];
    classes = arguments[3];
    tails = arguments[4];
    if (!PyTuple_CheckExact(labels) || !PyTuple_CheckExact(edges) || !PyTuple_CheckExact(attributes)
        || !PyDict_Check(classes) || !PyDict_CheckExact(tails)) {
        Py_RETURN_NONE;
    }
    count = PyTuple_Size(labels);
    if (PyTuple_Size(edges) != count || PyTuple_Size(attributes) != count) {
        Py_RETURN_NONE;
    }
    texts = PyList_New(0);
    if (texts == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *each = PyTuple_GetItem(attributes, i), *tail = NULL, *class_text, *text;
        Py_ssize_t size = each == last ? 1 : PyMapping_Size(each);
        int put_all = 0;
        if (size < 0) {
            goto done;
        }
        if (size > 0) {
            tail = each == last ? last_tail : kept_tail(tails, each);
            if (tail != NULL) {
                Py_INCREF(tail);
                last = each; /* tails keeps both */
                last_tail = tail;
            }
            else {
                if (PyErr_Occurred()) {
                    goto done;
                }
                tail = PyObject_CallFunctionObjArgs(arguments[5], each, NULL);
                if (tail == NULL || !PyUnicode_CheckExact(tail)) {
                    Py_XDECREF(tail);
                    goto done;
                }
            }
        }
        class_text = PyDict_GetItemWithError(classes, PyTuple_GetItem(labels, i));
        if (class_text != NULL) {
            Py_INCREF(class_text);
        }
        else if (!PyErr_Occurred()) {
            class_text = PyObject_GetItem(classes, PyTuple_GetItem(labels, i)); /* it may know what to do */
        }
        if (class_text != NULL && PyUnicode_CheckExact(class_text)) {
            buffer.size = 0;
            put_all = put_annotation(&buffer, class_text, PyTuple_GetItem(edges, i), tail);
        }
        Py_XDECREF(class_text);
        Py_XDECREF(tail);
        if (put_all != 1) {
            goto done;
        }
        text = PyUnicode_DecodeUTF8(buffer.start, buffer.size, NULL);
        if (text == NULL) {
            goto done;
        }
        put_all = PyList_Append(texts, text);
        Py_DECREF(text);
        if (put_all < 0) {
            goto done;
        }
    }
    usual = 1;
done:
    PyMem_Free(buffer.start);
    if (usual) {
        return texts;
    }
    Py_DECREF(texts);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return NULL;
        }
        PyErr_Clear(); /* the twin says it better */
    }
    Py_RETURN_NONE;
}

PyObject *
fill_in(PyObject *module, PyObject *const *arguments, Py_ssize_t given)
{
    Buffer buffer = {NULL, 0, 0};
    PyObject *filled = NULL;
    const char *at, *end, *mark;
    char *start;
    Py_ssize_t size, place = -1;
    long long number, owner, left = 0; /* numbers of a file, counted from 1 */
    int is_owner = 0;
    (void)module;
    if (given != 4) {
        PyErr_SetString(PyExc_TypeError, "fill_in takes four arguments");
        return NULL;
    }
    number = PyLong_AsLongLong(arguments[1]);
    owner = PyLong_AsLongLong(arguments[3]);
    if (PyErr_Occurred() || PyBytes_AsStringAndSize(arguments[0], &start, &size) < 0) {
        return NULL;
    }
    for (at = start, end = start + size; (mark = memchr(at, '\0', (size_t)(end - at))) != NULL; at = mark + 1) {
        if (put(&buffer, at, mark - at) < 0) {
            goto done;
        }
        if (arguments[2] == Py_None) {
            if (put_whole(&buffer, number++) < 0) {
                goto done;
            }
            continue;
        }
        while (!is_owner && left == 0) { /* on to the next owner that has any */
            PyObject *count = PySequence_GetItem(arguments[2], ++place);
            left = count == NULL ? -1 : PyLong_AsLongLong(count);
            Py_XDECREF(count);
            if (left < 0) {
                goto done;
            }
            owner += place > 0;
        }
        if (put_whole(&buffer, is_owner ? owner : number++) < 0) {
            goto done;
        }
        left -= is_owner;
        is_owner = !is_owner;
    }
    if (left == 0 && !is_owner && put(&buffer, at, end - at) == 0) {
        filled = PyBytes_FromStringAndSize(buffer.start, buffer.size);
    }
done:
    PyMem_Free(buffer.start);
    if (filled == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "there are not as many places as numbers");
    }
    return filled;
}
