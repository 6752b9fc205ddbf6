/* Declarations shared by the files of this module.
 *
 * parse_layout handles the usual input of one Python function and returns None for everything else. For what it does
 * handle, the result is the same.
 */

#ifndef BOXWRIGHT_SPEEDUPS_H
#define BOXWRIGHT_SPEEDUPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "sums would have more digits than Python's; without this module boxwright returns the same results, more slowly"
#endif

enum {
    VERIFIED, FOLDER, PATH, DATABASE, DEPTH, SEGMENTED, POSE, TRUNCATED, DIFFICULT, OCCLUDED,
    NUMBER_OF_NAMES
};

typedef struct {
    PyObject *labels;     /* dict: a class name to the one string object that all its boxes share */
    PyObject *attributes; /* dict: (pose or None, truncated, difficult, occluded) to the mapping that boxes share */
    PyObject *flags[8];   /* the mappings for truncated, difficult and occluded alone, each 0 or 1; made at first use */
    PyObject *names[NUMBER_OF_NAMES];
} State;

Py_LOCAL_SYMBOL PyObject *parse_layout(PyObject *module, PyObject *data);

#endif
