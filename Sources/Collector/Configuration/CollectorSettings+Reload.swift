// Which settings can change while the collector runs, and what has changed between two readings of the configuration.

/// A setting whose value is another one now.
package struct SettingChange: Sendable, CustomStringConvertible {
    package let setting: Setting
    /// Whether it takes effect without a restart.
    package var isReloadable: Bool { setting.isReloadable }
    let before: [String]
    let after: ResolvedSetting

    package var description: String {
        func text(_ values: [String]) -> String { values.isEmpty ? "not set" : values.joined(separator: ", ") }
        return "\(setting.rawValue): \(text(before)) -> \(text(after.values)) (\(after.origin))"
    }
}

extension Setting {
    /// Whether a reload applies it.
    package var isReloadable: Bool { self == .logLevel || self == .retention }
}

extension CollectorSettings {
    /// What is another value in `new`, in the order of the settings. Without secrets.
    package func changes(to new: CollectorSettings) -> [SettingChange] {
        new.report.compactMap { entry in
            let before = report.first { $0.setting == entry.setting }?.values ?? []
            return before == entry.values ? nil : SettingChange(setting: entry.setting, before: before, after: entry)
        }
    }

    /// What holds after a reload: these settings with those of `new` that a reload applies.
    package func reloaded(_ new: CollectorSettings) -> CollectorSettings {
        var settings = self
        settings.report = report.map { entry in
            entry.setting.isReloadable ? new.report.first { $0.setting == entry.setting } ?? entry : entry
        }
        settings.warnings = new.warnings
        return settings
    }
}
