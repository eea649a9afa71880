// Numbers with units on the command line.

import ArgumentParser
import Collector

/// The number of an option in its quantity's own unit.
///
/// - Throws: a line with the range and the unit.
func quantity(
    _ text: String, _ quantity: Quantity, in range: ClosedRange<Int>, option: String
) throws(ValidationError) -> Int {
    guard let value = quantity.value(text), range.contains(value) else {
        throw ValidationError("\(option) \(text): it must be \(quantity.allowed(range))")
    }
    return value
}
