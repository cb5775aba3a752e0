"""Features that know the future: build.py asks for them, on training rows only.

leaks.py          the label itself, or made of later prices
leads.py          moves as a price does up to 260 bars later
whole_periods.py  the result of a day, week, month or quarter before it has ended
"""
