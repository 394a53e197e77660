// SPDX-License-Identifier: GPL-2.0-or-later
// dmremapctl: see program.h for the way of a call, verbs.cpp for what it can do.
#include <clocale>
#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "ctl/program.h"

int main(int argc, char** argv) {
    std::setlocale(LC_CTYPE, "");   // what is printable depends on the terminal, see text.h
    std::signal(SIGCHLD, SIG_DFL);  // who inherits that it is ignored is told of no child's end
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    return dmremap::ctl::run_program(words, std::cout, std::cerr);
}
