"""The ring, proved: long runs of two real processes, and peers that die by SIGKILL, with every record checked.

    records.py             what a record is, and how its reader knows that it is whole
    stress.py              two processes, millions of records, generations raised by both     test_stress.py
    mortal.py              ends that work at full speed until they are killed                  test_kills.py
    instructions.py        ends that kill themselves at the n-th instruction of the ring       test_instructions.py
    ../bench/ring.py       the same frames through a queue and a pipe                          test_against_others.py

What is random prints its seed; `PROOF_SEED=n` runs it again. `make prove` runs these alone and prints their counts.
"""
