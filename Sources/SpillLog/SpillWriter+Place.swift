// Whether the folder and the segment that is written are where their names say, and what is done with a segment that is given up.

import Delivery
import LinuxSystem

extension SpillWriter {
    /// A sync of a file that has lost its name, or whose folder has, succeeds, and no later start would find it.
    mutating func checkPlace(of current: Segment) throws(SpillError) {
        let disturbance: SegmentDisturbance?
        do throws(SpillError) {
            if try fileSystem.keepPlace() { hasTakenPlace = true }
            disturbance = try self.disturbance(of: current.name)
        } catch {
            hasFailed = true
            throw error
        }
        guard let disturbance else { return }
        hasFailed = true
        throw .segmentDisturbed(file: current.name.text, disturbance: disturbance)
    }

    /// Gives the segment up whose write or sync failed: what was not synced must be written again.
    ///
    /// - Returns: its name if it holds what was synced before, or is a rest to be removed.
    public mutating func abandonSegment() -> SegmentName? {
        hasFailed = false
        guard let current = segment else { return nil }
        let isInPlace = isInPlace(current)
        segment = nil
        // Neither step must work: recovery knows a tail that was not synced when it sees one.
        do throws(SystemCallError) {
            // One that is shorter was cut by something else. It must not be filled up with zeros.
            if try current.file.size() > current.syncedOffset { try current.file.truncate(to: current.syncedOffset) }
            setBytes(current.name, UInt64(current.syncedOffset))
        } catch {}
        guard current.syncedOffset == 0 else { return current.name }
        files.release(current.name)
        // What has its name may be the file of somebody else.
        guard isInPlace else {
            setBytes(current.name, 0)
            return nil
        }
        do throws(SystemCallError) {
            try fileSystem.unlink(current.name.text)
        } catch {
            return current.name
        }
        setBytes(current.name, 0)
        return nil
    }

    /// Checks that the folder is at its path, and takes the one that is there if it is not.
    ///
    /// - Returns: whether another folder was taken since this was last called.
    mutating func keepPlace() throws(SpillError) -> Bool {
        let isNew = try fileSystem.keepPlace()
        defer { hasTakenPlace = false }
        return isNew || hasTakenPlace
    }

    private func isInPlace(_ current: Segment) -> Bool {
        do throws(SystemCallError) {
            let held = try current.file.identity()
            return try fileSystem.identity(of: current.name.text)?.isSameFile(as: held) ?? false
        } catch {
            // Not known: as without the check.
            return true
        }
    }
}
