"""Recipes: the steps of a workflow in one YAML file; each step is a command of this program with its options.

::

    document     the YAML file, with the line of each value
    commands     the commands as steps: parameters by key, and words for the command line
    plan         variables, references and the matrix resolved to steps
    checks       every option compared with the installed plugins, before anything runs
    contents     digests of the files of inputs and outputs
    cache        the results of earlier runs, and why a step must run again
    running      runs what must run
    results      the table and the page of a matrix
    schema       the JSON schema of a recipe
    saving       commands written to a recipe
"""
