"""Commands of operators, a file for each subject; `service.cli` adds them to its own."""
